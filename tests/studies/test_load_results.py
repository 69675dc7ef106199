"""A finished study is judged again from what it stored, and only if it is that study's."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rnnjax.config.load import load_study
from rnnjax.errors import BadInput, DamagedState, FolderRefused
from rnnjax.studies.analyse import rejudge
from rnnjax.studies.load_networks import load_network
from rnnjax.studies.load_results import load_results
from rnnjax.studies.run import run_study

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
    run_study(load_study(file), out)
    return file, out


def read(out: Path) -> dict:
    return json.loads((out / "summary.json").read_text())


@pytest.mark.slow
def test_judging_again_finds_the_same_numbers(finished: tuple[Path, Path]) -> None:
    file, out = finished
    before, page = read(out), json.loads((out / "page.json").read_text())
    rejudge(load_study(file), out)
    assert read(out) == before, "every number, every verdict"
    again = json.loads((out / "page.json").read_text())
    assert again | {"cost": None} == page | {"cost": None}, "the seconds went on after the first page was written"


def test_a_run_folder_is_read_without_anything_else(finished: tuple[Path, Path], tmp_path: Path) -> None:
    """Not the study file, not the data: a copy elsewhere gives every metric of every seed as it was reported."""
    _, out = finished
    copy = shutil.copytree(out, tmp_path / "elsewhere")
    results, reported = load_results(copy), {arm["name"]: arm for arm in read(out)["arms"]}
    assert [arm.name for arm in results.arms] == list(reported)
    for arm in results.arms:
        for name, of_file in reported[arm.name]["metrics"].items():
            values = [None if np.isnan(value) else float(f"{value:.6g}") for value in arm.metrics[name]]
            assert values == of_file["values"]
    assert results.unit("final_loss") == "nats per character"
    assert results.data_by_arm["norm=1"].train_length == 600
    assert results.study.file.claims[0].text == "s"
    assert np.isinf(results.study.arms[1].hp.clip_norm)


def test_an_infinity_of_a_study_file_comes_back(finished: tuple[Path, Path]) -> None:
    criterion = load_results(finished[1]).study.file.claims[0].criteria[0]
    assert (criterion.low, criterion.high) == (0.0, math.inf)


def test_another_statement_gets_its_verdict(finished: tuple[Path, Path], tmp_path: Path) -> None:
    _, out = finished
    other = tmp_path / "short.toml"
    other.write_text(STUDY.replace("low = 0.0", "high = 0.0"))
    rejudge(load_study(other), out)
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
        rejudge(load_study(other), out)
    assert (out / "summary.json").read_bytes() == before


def test_what_is_not_finished_or_not_whole_is_refused(finished: tuple[Path, Path], tmp_path: Path) -> None:
    file, out = finished
    with pytest.raises(BadInput, match="expected the run folder of a finished study"):
        rejudge(load_study(file), tmp_path)
    (lost,) = [path for path in (out / "metrics").glob("*.npz") if path.stem == "group-1"]
    lost.rename(tmp_path / lost.name)
    with pytest.raises(DamagedState, match="has no curves of hidden=5"):
        rejudge(load_study(file), out)


def test_a_folder_of_before_0_2_is_refused_by_every_reader(finished: tuple[Path, Path], tmp_path: Path) -> None:
    """Its settings have other names: read as ours, they would be missing."""
    file, _ = finished
    old = tmp_path / "old"
    old.mkdir()
    (old / "manifest.json").write_text(json.dumps({"rnnjax_format": 1, "state": "done", "config": {}, "groups": {}}))
    readers: list[Callable[[], object]] = [
        lambda: load_network(old, None, None),
        lambda: rejudge(load_study(file), old),
        lambda: run_study(load_study(file), old),
    ]
    for read_folder in readers:
        with pytest.raises(FolderRefused, match=r"rnnjax 0\.1 \(format 1\); this is rnnjax .* \(format 2\)"):
            read_folder()
