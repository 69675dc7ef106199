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
from rnnjax.studies.compact import EARLY, STRETCHES, rounded, shorten, write_compact
from rnnjax.studies.load_networks import load_network
from rnnjax.studies.load_results import Recorded, load_results
from rnnjax.studies.run import run_study

pytestmark = pytest.mark.slow  # much training or compiling for all of this module

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
[[claims]]
id = "early"
text = "s"
[[claims.criteria]]
rule = "bound"
metric = "loss@20-40"
arms = ["*"]
high = 100.0
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
    other = {"cost": None, "seal": None}
    assert again | other == page | other, "the seconds went on after the first page was written"


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


def test_a_small_copy_is_judged_as_the_run_folder(finished: tuple[Path, Path], tmp_path: Path) -> None:
    """The same numbers and verdicts, of the study's own file and of one with another limit; nothing is trained."""
    file, out = finished
    whole, small = shutil.copytree(out, tmp_path / "whole"), tmp_path / "small"
    write_compact(out, small)
    assert not list(small.rglob("group-*.npz")) and not (small / "checkpoints").exists()
    other = tmp_path / "short.toml"
    other.write_text(STUDY.replace("low = 0.0", "high = 0.0"))
    for path in (file, other):
        for folder in (whole, small):
            rejudge(load_study(path), folder)
        assert read(small) == read(whole)
    write_compact(out, small)  # an older copy is written anew
    assert read(small) == read(out)


@pytest.mark.parametrize("lost", ["study.json", "curves.npz"])
def test_a_small_copy_without_a_file_is_refused(finished: tuple[Path, Path], tmp_path: Path, lost: str) -> None:
    small = tmp_path / "small"
    write_compact(finished[1], small)
    (small / lost).unlink()
    with pytest.raises((BadInput, DamagedState), match=r"finished study|has no curves"):
        load_results(small)


def test_a_small_copy_replaces_nothing_else(finished: tuple[Path, Path], tmp_path: Path) -> None:
    file, out = finished
    (tmp_path / "diary.txt").write_text("mine")
    for into in (tmp_path, out):
        with pytest.raises(BadInput, match="expected a new folder, or an older copy"):
            write_compact(out, into)
    write_compact(out, tmp_path / "small")
    with pytest.raises(BadInput, match="got a copy without them"):
        write_compact(tmp_path / "small", tmp_path / "smaller")
    for resume in (False, True):
        with pytest.raises(FolderRefused, match="is a small copy of a study, without checkpoints"):
            run_study(load_study(file), tmp_path / "small", resume)
    assert (tmp_path / "diary.txt").read_text() == "mine" and not (tmp_path / "smaller").exists()


def test_curves_of_a_small_copy_are_means_over_stretches() -> None:
    """By loops: each kept row is the mean over the steps since the one before; the last tenth is four rows."""
    rng, S = np.random.default_rng(0), 1_200
    steps = np.cumsum(rng.integers(1, 4, S))
    rows = {name: rng.normal(size=(3, S)).astype(np.float32) for name in ("loss", "update_norm")}
    probes = {"p": np.ones((3, 4), np.float32), "text": rng.integers(0, 9, (3, 4, 7), dtype=np.uint16)}
    taken = {"p": np.array([True, True, True, True]), "text": np.array([True, False, True, False])}
    recorded = Recorded(steps, rows, np.arange(4), probes, taken, np.full(3, -1), np.arange(3), np.zeros(3, int))
    small = shorten(recorded)
    assert STRETCHES <= len(small.row_steps) <= STRETCHES + EARLY and small.row_steps[-1] == steps[-1]
    assert np.isin(steps[-S // 10 - 1], small.row_steps), "the last tenth begins with a stretch"
    before = 0
    for column, until in enumerate(small.row_steps):
        inside = (steps > before) & (steps <= until)
        weights = np.diff(steps, prepend=0)[inside]
        for name, tolerance in (("loss", 1e-6), ("update_norm", 2.0**-12)):
            wanted = (rows[name][:, inside] * weights).sum(axis=1) / weights.sum()
            np.testing.assert_allclose(small.rows[name][:, column], wanted, rtol=tolerance, atol=1e-7)
        before = until
    assert small.measured_at["text"].tolist() == [False, False, True, False]
    np.testing.assert_array_equal(small.probes["text"][:, 2], probes["text"][:, 2])
    assert not small.probes["text"][:, [0, 1, 3]].any()
    np.testing.assert_array_equal(small.probes["p"], probes["p"])


def test_short_fractions_keep_what_is_not_finite() -> None:
    values = np.array([np.nan, np.inf, -np.inf, 0.0, 3.4028235e38, -1 / 3, 1e-40], np.float32)
    found = rounded(values)
    np.testing.assert_allclose(found, values, rtol=2.0**-12)
    assert rounded(np.array([1 / 3])) == 1 / 3, "double precision stays"


def test_an_infinity_of_a_study_file_comes_back(finished: tuple[Path, Path]) -> None:
    criterion = load_results(finished[1]).study.file.claims[0].criteria[0]
    assert (criterion.low, criterion.high) == (0.0, math.inf)


def test_another_statement_gets_its_verdict(finished: tuple[Path, Path], tmp_path: Path) -> None:
    _, out = finished
    other = tmp_path / "short.toml"
    other.write_text(STUDY.replace("low = 0.0", "high = 0.0"))
    rejudge(load_study(other), out)
    assert [claim["verdict"] for claim in read(out)["claims"]] == ["refuted", "confirmed"]


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
