"""A finished study is judged again from what it stored, and only if it is that study's."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rnnjax.config import load as config
from rnnjax.errors import BadInput, DamagedState, FolderRefused
from rnnjax.studies import run as lab
from rnnjax.studies.load_networks import load_network

STUDY = """
question = "?"
seeds = 3
[base]
hidden = 4
window = 5
steps = 60
log_every = 20
task.characters = 600
[[axes]]
clip_norm = [1.0, inf]
[[axes]]
hidden = [5]
seeds = 2
[probes]
validation = 2
[[claims]]
id = "c"
text = "s"
[[claims.criteria]]
rule = "bound"
metric = "validation_loss@0"
arms = ["*"]
low = 0.0
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The file of a study and its run folder."""
    folder = tmp_path_factory.mktemp("stored")
    file, out = folder / "short.toml", folder / "out"
    file.write_text(STUDY)
    lab.run_study(config.load_study(file), out)
    return file, out


def read(out: Path) -> dict:
    return json.loads((out / "summary.json").read_text())


def test_judging_again_finds_the_same_numbers(finished: tuple[Path, Path]) -> None:
    file, out = finished
    before, page = read(out), json.loads((out / "page.json").read_text())
    lab.rejudge(config.load_study(file), out)
    assert read(out) == before, "every number, every verdict"
    again = json.loads((out / "page.json").read_text())
    assert again | {"cost": None} == page | {"cost": None}, "the seconds went on after the first page was written"


def test_another_statement_gets_its_verdict(finished: tuple[Path, Path], tmp_path: Path) -> None:
    _, out = finished
    other = tmp_path / "short.toml"
    other.write_text(STUDY.replace("low = 0.0", "high = 0.0"))
    lab.rejudge(config.load_study(other), out)
    assert [claim["verdict"] for claim in read(out)["claims"]] == ["refuted"]


@pytest.mark.parametrize(
    ("was", "becomes", "message"),
    [
        ("validation_loss@0", "loss_areas", "claims.c: 'loss_areas' was not measured in arm norm=1"),
        ("hidden = [5]", "hidden = [6]", "its arms and seeds are not those of the study"),
        ("seeds = 3", "seeds = 4", "its arms and seeds are not those of the study"),
        ("window = 5", "window = 6", "run with other settings than in the study: window"),
        ("task.characters = 600", "task.characters = 601", "other settings than in the study: task.characters"),
    ],
)
def test_another_study_is_refused(
    finished: tuple[Path, Path], tmp_path: Path, was: str, becomes: str, message: str
) -> None:
    _, out = finished
    before, other = (out / "summary.json").read_bytes(), tmp_path / "short.toml"
    assert was in STUDY
    other.write_text(STUDY.replace(was, becomes))
    with pytest.raises(BadInput, match=message):
        lab.rejudge(config.load_study(other), out)
    assert (out / "summary.json").read_bytes() == before


def test_what_is_not_finished_or_not_whole_is_refused(finished: tuple[Path, Path], tmp_path: Path) -> None:
    file, out = finished
    with pytest.raises(BadInput, match="expected the run folder of a finished study"):
        lab.rejudge(config.load_study(file), tmp_path)
    (lost,) = [path for path in (out / "metrics").glob("*.npz") if path.stem == "group-1"]
    lost.rename(tmp_path / lost.name)
    with pytest.raises(DamagedState, match="has no curves of hidden=5"):
        lab.rejudge(config.load_study(file), out)


def test_a_folder_of_before_0_2_is_refused_by_every_reader(finished: tuple[Path, Path], tmp_path: Path) -> None:
    """Its settings have other names: read as ours, they would be missing."""
    file, _ = finished
    old = tmp_path / "old"
    old.mkdir()
    (old / "manifest.json").write_text(json.dumps({"rnnjax_format": 1, "state": "done", "config": {}, "groups": {}}))
    readers: list[Callable[[], object]] = [
        lambda: load_network(old, None, None),
        lambda: lab.rejudge(config.load_study(file), old),
        lambda: lab.run_study(config.load_study(file), old),
    ]
    for read_folder in readers:
        with pytest.raises(FolderRefused, match=r"rnnjax 0\.1 \(format 1\); this is rnnjax .* \(format 2\)"):
            read_folder()
