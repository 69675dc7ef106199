"""The page of the Python API: complete, and its examples run as one session."""

import doctest
import inspect
import re
from pathlib import Path

import pytest

import rnnjax
from rnnjax.cli.documentation.api_page import SESSION, api_page
from rnnjax.networks.cells import CELLS

REGISTRIES = [name for name in rnnjax.__all__ if isinstance(getattr(rnnjax, name), dict)]
WITHOUT_EXAMPLE = {"Spec", "HParams", "TaskSpec", "BadInput", *REGISTRIES}  # used in the examples of the others
APART = {"setup_devices"}  # its example is for a new process, see test_import
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def test_the_page_has_every_name() -> None:
    page = api_page()
    headings = re.findall(r"^## (\w+)$", page, re.MULTILINE)
    assert headings == list(rnnjax.__all__)
    for name in REGISTRIES:
        section = page.partition(f"## {name}\n")[2].partition("\n## ")[0]
        assert all(f"`{entry}`" in section for entry in getattr(rnnjax, name))


@pytest.mark.parametrize("name", [name for name in rnnjax.__all__ if name not in WITHOUT_EXAMPLE])
def test_every_function_and_class_has_an_example(name: str) -> None:
    example = (inspect.getdoc(getattr(rnnjax, name)) or "").partition("Example:")[2]
    assert ">>> " in example
    assert "rj." in example or inspect.isclass(getattr(rnnjax, name))


@pytest.mark.slow
def test_the_examples_run_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = {name: dict(getattr(rnnjax, name)) for name in REGISTRIES}
    names: dict[str, object] = {}
    exec(re.sub(r"^>>> ", "", SESSION, flags=re.MULTILINE), names)
    runner, parser = doctest.DocTestRunner(optionflags=FLAGS), doctest.DocTestParser()
    said: list[str] = []
    try:
        for name in rnnjax.__all__:
            text = inspect.getdoc(getattr(rnnjax, name)) or ""
            if name not in WITHOUT_EXAMPLE | APART:
                example = parser.get_doctest(text, {}, name, None, 0)
                assert example.examples, name
                example.globs = names
                runner.run(example, out=said.append, clear_globs=False)
        assert not said, "".join(said)
    finally:
        for name, table in before.items():
            getattr(rnnjax, name).clear()
            getattr(rnnjax, name).update(table)
    assert "soft" not in CELLS
