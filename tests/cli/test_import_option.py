"""Cells of the user's own in a study: scripts/study.py, sample.py and doctor.py with --import."""

import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rnnjax import devices
from rnnjax.cli.common import run_command
from rnnjax.errors import BadInput
from rnnjax.networks.cells import CELLS
from rnnjax.networks.initializers import INITIALIZERS
from rnnjax.studies.own_code import run_user_code
from rnnjax.studies.validation import setting_tables

SCRIPTS = Path(__file__).parents[2] / "scripts"
STUDY = """
question = "Does a cell of my own learn?"
seeds = 2
[base]
cell = "mine"
hidden = 4
steps = 20
block = 2
"""
OWN = """
from rnnjax.networks.cells import CELLS, elman
CELLS["mine"] = elman
"""


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., str]]:
    """Run a script in an empty folder as a user does, in a process that does not know the cell. Returns: its errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(devices, "prepare", lambda: None)  # JAX is set up already
    (tmp_path / "mine.toml").write_text(STUDY)
    (tmp_path / "own.py").write_text(OWN)

    def asked(script: str, *options: str) -> str:
        CELLS.pop("mine", None)
        monkeypatch.setattr(sys, "argv", [script, *options])
        capfd.readouterr()
        with pytest.raises(SystemExit):
            run_command(runpy.run_path(str(SCRIPTS / script))["main"])
            sys.exit(0)
        return "".join(line for line in capfd.readouterr().err.splitlines(True) if line.startswith("rnnjax: error"))

    yield asked
    CELLS.pop("mine", None)


@pytest.mark.slow
def test_a_cell_of_ones_own_is_trained_sampled_and_examined(run: Callable[..., str], tmp_path: Path) -> None:
    own, out = ("--import", "own.py"), "runs/mine"
    assert run("study.py", "mine.toml", *own) == "" and (tmp_path / out / "DONE.json").exists()
    assert run("sample.py", out, "--length", "5", *own) == run("doctor.py", out, *own) == ""
    for script in ("sample.py", "doctor.py"):
        assert "cell: got 'mine'; expected one of: elman," in run(script, out)
    (tmp_path / "own.py").write_text(OWN + "# another\n")
    assert "runs/mine holds another config: it has own_code_sha256" in run("study.py", "mine.toml", *own)


def test_a_change_in_a_module_beside_the_file_is_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    file, beside = tmp_path / "own.py", tmp_path / "beside_own_code.py"
    file.write_text("import beside_own_code\n")
    hashes = []
    for text in ("SIZE = 1\n", "SIZE = 2\n", "SIZE = 2\n"):
        beside.write_text(text)
        sys.modules.pop("beside_own_code", None)
        hashes.append(run_user_code(file))
    assert hashes[0] != hashes[1] == hashes[2]


def test_an_initializer_of_ones_own_serves_both_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is registered after the checks were imported."""
    monkeypatch.setitem(INITIALIZERS, "mine", INITIALIZERS["normal"])
    assert "mine" in setting_tables()["kernel_initializer"] and "mine" in setting_tables()["recurrent_initializer"]


def test_a_file_that_is_not_there_is_one_line(run: Callable[..., str]) -> None:
    assert run("study.py", "mine.toml", "--import", "no.py") == "rnnjax: error: --import: no such file 'no.py'\n"
    assert "cell: got 'mine'; expected one of: minimal, min_" in run("study.py", "mine.toml"), "the nearest first"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = 1\ndef (\n", "own.py:2: SyntaxError: invalid syntax"),
        ("x = 1\nraise KeyError('a\\nb')\n", "own.py:2: KeyError: 'a\\nb'"),
        ("import sys\n\nsys.exit(3)\n", "own.py:3: SystemExit: 3"),
        ("import no_such_module\n", "own.py:1: ModuleNotFoundError: No module named 'no_such_module'"),
        ("def f():\n    assert False\n\nf()\n", "own.py:2: AssertionError"),
    ],
)
def test_what_the_file_raises_is_one_line(
    code: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(code)
    with pytest.raises(BadInput) as caught:
        run_user_code(Path("own.py"))
    assert str(caught.value) == f"--import: {message}"
