"""The command `rnnjax`: its help, versions, settings and the studies that it finds by name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rnnjax.cli import command, settings
from rnnjax.cli.command import COMMANDS
from rnnjax.cli.study import find_studies, study_list
from rnnjax.config.fields import FIELDS
from rnnjax.config.included import find_study, included_studies
from rnnjax.config.toml_file import read_toml
from rnnjax.errors import BadInput
from rnnjax.networks.cells import CELLS
from rnnjax.networks.initializers import INITIALIZERS
from rnnjax.probes import PROBES
from rnnjax.tasks import TASKS
from rnnjax.training.optimizers import OPTIMIZERS
from rnnjax.training.schedules import SCHEDULES

ROOT = Path(__file__).parents[2]
LISTED = {"cells": CELLS, "initializers": INITIALIZERS, "optimizers": OPTIMIZERS, "schedules": SCHEDULES}
LISTED |= {"tasks": TASKS, "probes": PROBES}


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["rnnjax", *arguments])
    command.run()


def loaded(program: str) -> set[str]:
    """The modules that a program loads, in a process of its own; its output is thrown away."""
    listed = f"import sys\ntry:\n    {program}\nexcept SystemExit: pass\nprint(*sys.modules, file=sys.stderr)"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    answer = subprocess.run(
        [sys.executable, "-c", listed], capture_output=True, text=True, check=True, env=environment, timeout=60
    )
    assert answer.stdout
    return set(answer.stderr.split())


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_load_hardly_anything(option: str) -> None:
    modules = loaded(f"sys.argv = ['rnnjax', '{option}']; from rnnjax.cli.command import main; main()")
    assert not {"numpy", "jax", "pydantic", "rich", "scipy"} & modules


def test_the_help_of_a_command_loads_no_jax() -> None:
    names = [f"__import__('rnnjax.cli.{name}', fromlist='x').build_options().print_help()" for name in COMMANDS]
    assert not {"jax", "flax", "torch", "shtab"} & loaded("; ".join(names))


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_a_screen(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, name, "--help")
    lines = capsys.readouterr().out.splitlines()
    assert ended.value.code == 0 and lines[0].startswith(f"usage: rnnjax {name} ")
    assert len(lines) <= 40 and max(map(len, lines)) <= 100


def test_without_a_command_the_help_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch)
    without = capsys.readouterr().out
    run(monkeypatch, "--help")
    assert capsys.readouterr().out == without
    assert all(f"\n  {name} " in without for name in COMMANDS) and len(without.splitlines()) <= 40


def test_an_unknown_command_is_named_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match=r"got command 'studdy'; expected one of: study, .*Did you mean 'study'\?"):
        run(monkeypatch, "studdy")


def test_the_versions(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import jax

    run(monkeypatch, "--version")
    line = capsys.readouterr().out
    assert line.startswith("rnnjax ") and f", jax {jax.__version__}, Python 3." in line and line.count("\n") == 1
    assert command.installed_version("no-such-package") == "not installed"


@pytest.mark.parametrize("name", FIELDS)
def test_a_setting_is_described(name: str) -> None:
    page = settings.describe(name)
    assert page.splitlines()[0] == name and "\n  default  " in page and max(map(len, page.splitlines())) <= 100


@pytest.mark.parametrize("name", LISTED)
def test_a_list_has_all_names(name: str) -> None:
    first_words = {line.split()[0] for line in settings.describe(name).splitlines()[1:] if line[:2] == "  "}
    assert set(LISTED[name]) <= first_words


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("learning_rate", ["type     number", "default  0.01", "range    > 0 and finite"]),
        ("path", ["task.path"]),
        ("adam*", ["adam_b1", "adam_b2"]),
        ("task", ["task.path", "task.horizon"]),
        ("cell", ["recurrent cell", "lstm", "Long short-term memory"]),
        ("adam", ['optimizer = "adam": d = m']),
        ("rules", ["difference", "paired difference"]),
        ("metrics", ["final_loss", "validation_loss"]),
        ("final_loss", ["final_loss (metrics): {loss}: ", "(training)"]),
        ("validation_loss", ["held-out", "(probe"]),
        ("block", ["default  unset"]),
    ],
)
def test_what_settings_prints(name: str, words: list[str]) -> None:
    text = settings.describe(name)
    assert [word for word in words if word not in text] == []


def test_all_settings_are_listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run(monkeypatch, "settings")
    text = capsys.readouterr().out
    assert [name for name in FIELDS if f"\n  {name} " not in text] == [] and max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("learning_rat", "learning_rate"), ("lstn", "lstm"), ("optimisers", "optimizers"), ("final_los", "final_loss")],
)
def test_an_unknown_name_is_refused_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(BadInput, match=f"got '{name}'; expected .* Nearest: {nearest}"):
        settings.describe(name)


def test_the_studies_that_come_with_rnnjax_are_listed() -> None:
    text = study_list()
    for path in (ROOT / "configs").glob("*/*.toml"):
        first = " ".join(read_toml(path)["question"].split()[:3])
        assert any(line.split()[:4] == [path.stem, *first.split()] for line in text.splitlines())


def test_a_study_is_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "init").mkdir()  # a folder of that name, such as a run, is no study
    for name in ("init", "markdown"):
        path, hidden = find_study(name)
        assert path.read_text() == next((ROOT / "configs").glob(f"*/{name}.toml")).read_text() and hidden is None
    assert find_study("configs/studies/init.toml").path == Path("configs/studies/init.toml")


@pytest.mark.parametrize("file", ["init", "init.toml"])
def test_a_file_of_the_working_directory_wins(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the one that is not used is named, unless it is the same."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / file).write_text("question = 'mine'")
    assert find_studies(["init"]) == [Path(file)]
    said = capsys.readouterr().err
    assert file == "init" or said == "init.toml: used instead of the study of that name that comes with rnnjax\n"
    (tmp_path / file).write_bytes(included_studies()["init"].read_bytes())
    assert find_studies(["init"]) == [Path(file)] and capsys.readouterr().err == ""
    (tmp_path / "mine.toml").write_text("question = 'mine'")
    assert find_studies(["mine"]) == [Path("mine.toml")] and capsys.readouterr().err == ""


def test_an_installed_wheel_has_the_studies_inside(tmp_path: Path) -> None:
    """As setup.py puts them: rnnjax/configs; .ci/wheel proves it of a real one."""
    inside, beside = tmp_path / "rnnjax" / "configs" / "studies", tmp_path / "configs" / "studies"
    for folder in (inside, beside):
        folder.mkdir(parents=True)
        (folder / f"{folder.parent.parent.name}.toml").write_text("question = 'q'")
    assert included_studies(tmp_path / "rnnjax") == {"rnnjax": inside / "rnnjax.toml"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("inti", "no such config file 'inti'; nearest: init"),
        ("studies/init.toml", "a study of that name comes with rnnjax: rnnjax study init"),
    ],
)
def test_a_missing_study_is_refused_with_the_nearest(
    name: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=words):
        run(monkeypatch, "study", name)


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_has_commands_options_and_studies(
    shell: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("shtab")
    run(monkeypatch, "completion", shell)
    script = capsys.readouterr().out
    assert all(name in script for name in (*COMMANDS, "resume", "top-p", "calibration", "learning_rate"))


def test_completion_without_its_library_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    with pytest.raises(BadInput, match="shtab is not installed; pip install shtab"):
        run(monkeypatch, "completion", "bash")
