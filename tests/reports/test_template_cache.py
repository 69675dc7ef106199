"""Compiled templates are read back, never for other escaping, and a folder that cannot be written changes nothing."""

from pathlib import Path

import pytest

from rnnjax import devices
from rnnjax.reports import render, template_cache

TEXT = "{{ '<b>' }}{{ value }}"


@pytest.fixture
def templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder, and one template."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "page.j2").write_text(TEXT)
    monkeypatch.setattr(render, "TEMPLATE_FOLDER", tmp_path / "own")
    monkeypatch.setenv(devices.CACHE, str(tmp_path / "cache"))
    return tmp_path


def test_a_template_is_compiled_once_for_each_kind_of_escaping(
    templates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second time nothing is written, and a constant is still escaped in HTML and not in Markdown."""
    written = []
    dump = template_cache.TemplateCache.dump_bytecode
    monkeypatch.setattr(
        template_cache.TemplateCache, "dump_bytecode", lambda self, bucket: (written.append(1), dump(self, bucket))[1]
    )
    for _ in range(2):
        assert render.render("page.j2", False, value="<i>") == "<b><i>"
        assert render.render("page.j2", True, value="<i>") == "&lt;b&gt;&lt;i&gt;"
    assert len(written) == 2 == len(list((templates / "cache").glob("*/*.cache")))


def test_without_a_folder_a_template_is_compiled_each_time(templates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache's folder is a file; then there is to be none."""
    (templates / "cache").write_text("")
    assert render.render("page.j2", True, value="x") == "&lt;b&gt;x"
    monkeypatch.setenv(devices.CACHE, "")
    assert template_cache.template_cache(True) is None
    assert render.render("page.j2", True, value="x") == "&lt;b&gt;x"


def test_a_damaged_file_is_compiled_again(templates: Path) -> None:
    render.render("page.j2", True, value="x")
    (stored,) = (templates / "cache").glob("*/*.cache")
    stored.write_bytes(stored.read_bytes()[:-20])
    assert render.render("page.j2", True, value="x") == "&lt;b&gt;x"
