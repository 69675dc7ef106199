"""Runs that start from the parameters of another folder: what they take over, what they refuse."""

import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from rnnjax.config.load import load_study
from rnnjax.errors import BadInput
from rnnjax.storage.checkpoints import Checkpoints
from rnnjax.studies.fine_tuning import adopt_leaf
from rnnjax.studies.load_networks import load_network, load_networks
from rnnjax.studies.resume import load_stored_study
from rnnjax.studies.run import run_study

pytestmark = [pytest.mark.slow, pytest.mark.optimised]

STUDY = """
question = "Does it start from there?"
seeds = {seeds}
init_from = "{source}"
keep = "{keep}"
[base]
cell = "{cell}"
optimizer = "{optimizer}"
learning_rate = {rate}
validate_every = {validate_every}
initial_state = "learned"
window = 5
hidden = {hidden}
steps = 20
log_every = 10
block = 2
task.name = "{task}"
task.path = "{path}"
"""
TINY = 1e-30  # a learning rate at which float32 parameters stay as they are


def run(out: Path, source: Path | str = "", resume: bool = False, **changes: Any) -> Path:
    out.parent.mkdir(exist_ok=True)
    fields = {
        "seeds": 2, "keep": "last", "cell": "gru", "optimizer": "sgd", "rate": 0.1, "hidden": 6, "task": "text",
        "path": out.parent / "text.txt", "validate_every": 0,
    }  # fmt: skip
    text = changes.pop("text", "abc" * 50 + "bca" * 60)
    (out.parent / "text.txt").write_text(text)
    file = out.parent / "study.toml"
    file.write_text(STUDY.format(**fields | {"source": source} | changes))
    run_study(load_study(file), out, resume=resume)
    return out


def leaves(folder: Path, seed: int) -> dict[str, np.ndarray]:
    tree = load_network(folder, None, seed).params
    return {jax.tree_util.keystr(p, simple=True, separator="/"): np.asarray(x) for p, x in
            jax.tree_util.tree_leaves_with_path(tree)}  # fmt: skip


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("source") / "out")


@pytest.mark.exhaustive
def test_every_seed_starts_from_the_parameters_of_its_own(source: Path, tmp_path: Path) -> None:
    """At a rate that changes nothing, the end is the start; the optimizer's state and the carry are new."""
    out = run(tmp_path / "out", source, rate=TINY)
    for seed in (42, 43):
        theirs, ours = leaves(source, seed), leaves(out, seed)
        assert theirs.keys() == ours.keys() and all(np.array_equal(theirs[name], ours[name]) for name in theirs)
    fresh = run(tmp_path / "fresh" / "out", rate=TINY)
    assert not np.array_equal(leaves(fresh, 42)["readout/kernel"], leaves(out, 42)["readout/kernel"])


def test_training_goes_on_from_them(source: Path, tmp_path: Path) -> None:
    out = run(tmp_path / "out", source)
    assert not np.array_equal(leaves(source, 42)["readout/kernel"], leaves(out, 42)["readout/kernel"])
    hashes = load_study(tmp_path / "study.toml")
    assert "init_from" not in hashes.config, "known when the folder is read, not before"
    assert load_stored_study(out).config["init_from"].keys() == {"group-0"}


def test_one_seed_serves_all(tmp_path: Path) -> None:
    one = run(tmp_path / "one" / "out", seeds=1)
    out = run(tmp_path / "out", one, rate=TINY, seeds=3)
    first = leaves(one, 42)
    for network in load_networks(out, None):
        assert np.array_equal(network.params["readout"]["kernel"], first["readout/kernel"])


def test_a_kill_before_the_first_checkpoint_starts_from_them_again(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Checkpoints, "save", die)
        run(tmp_path / "out", source, rate=TINY)
    run_study(load_stored_study(tmp_path / "out"), tmp_path / "out", resume=True)
    assert np.array_equal(leaves(source, 43)["readout/kernel"], leaves(tmp_path / "out", 43)["readout/kernel"])


def test_more_steps_need_no_source(source: Path, tmp_path: Path) -> None:
    """The folder's own checkpoints are all that is needed, and the result is that of asking at once."""
    copy = shutil.copytree(source, tmp_path / "copy")
    out = run(tmp_path / "out", copy)
    whole = tmp_path / "whole"
    run_study(load_study(tmp_path / "study.toml", ["steps=40"]), whole)
    shutil.rmtree(copy)
    run_study(load_stored_study(out, ["steps=40"]), out, resume=True)
    for seed in (42, 43):
        assert all(np.array_equal(leaves(out, seed)[name], leaf) for name, leaf in leaves(whole, seed).items())


def test_characters_are_matched_by_name_and_new_ones_start_afresh(source: Path, tmp_path: Path) -> None:
    """Of "abc" the text has c and b, and z is new: by their place in the sorted vocabularies."""
    out = run(tmp_path / "out", source, rate=TINY, text="cbz" * 50 + "zbc" * 60)
    theirs, ours = load_network(source, None, 42), load_network(out, None, 42)
    assert (theirs.vocabulary, ours.vocabulary) == ("abc", "bcz")
    for name in ("kernel", "recurrent_kernel"):
        one, other = theirs.params["layer_0"][name], ours.params["layer_0"][name]
        if name == "kernel":
            assert np.array_equal(one[1:], other[:2]) and not np.isin(other[2], one).any()
        else:
            assert np.array_equal(one, other)
    for one, other in zip(theirs.params["readout"].values(), ours.params["readout"].values(), strict=True):
        assert np.array_equal(one[..., 1:], other[..., :2])
    fresh = run(tmp_path / "fresh" / "out", rate=TINY, text="cbz" * 50 + "zbc" * 60)
    assert np.array_equal(
        load_network(fresh, None, 42).params["layer_0"]["kernel"][2], ours.params["layer_0"]["kernel"][2]
    )


def test_a_leaf_by_characters() -> None:
    """By hand: rows of the trained kernel for known characters, the fresh one's for -1."""
    trained, fresh, rows = np.array([[1.0, 2.0], [3.0, 4.0]]), np.full((3, 2), 9.0), np.array([1, -1, 0])
    found = adopt_leaf("layer_0/kernel", fresh, trained, rows)
    assert found is not None and found.tolist() == [[3, 4], [9, 9], [1, 2]]
    found = adopt_leaf("readout/kernel", fresh.T, trained, rows)
    assert found is not None and found.tolist() == [[2, 9, 1], [4, 9, 3]]
    assert adopt_leaf("layer_1/kernel", fresh, trained, rows) is None
    assert adopt_leaf("layer_0/kernel", fresh, np.ones((2, 5)), rows) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden": 7}, "init_from: arm base: hidden is 6 there; expected 7"),
        ({"cell": "lstm"}, "init_from: arm base: cell is 'gru' there; expected 'lstm'"),
        ({"seeds": 3}, r"init_from .*: seed: got 44; expected one of 2"),
        ({"task": "series", "path": ""}, "a text is True there; expected False"),
    ],
)
def test_networks_that_are_not_alike_are_refused_and_nothing_is_written(
    changes: dict[str, Any], message: str, source: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=message):
        run(tmp_path / "out", source, **changes)
    assert not (tmp_path / "out").exists()


def test_a_source_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="init_from: got '.*missing'; expected the run folder of a finished study"):
        run(tmp_path / "out", tmp_path / "missing")


def test_another_source_is_another_study(source: Path, tmp_path: Path) -> None:
    out = run(tmp_path / "out", source)
    other = run(tmp_path / "other" / "out", rate=0.2)
    with pytest.raises(Exception, match="holds another config: it has init_from.group-0"):
        run(out, other, resume=True)


# ------------------------------------------------------------------------------------------------ checkpoints that stay


def test_the_last_checkpoint_stays(source: Path) -> None:
    assert [path.name for path in (source / "checkpoints" / "group-0").iterdir()] == ["20"]


def test_all_checkpoints_stay_and_are_read_by_step(tmp_path: Path) -> None:
    out = run(tmp_path / "out", keep="all")
    assert sorted(int(path.name) for path in (out / "checkpoints" / "group-0").iterdir()) == [10, 20]
    early, late = load_network(out, None, 42, step=10), load_network(out, None, 42)
    assert (early.step, late.step) == (10, 20)
    assert not np.array_equal(early.params["readout"]["kernel"], late.params["readout"]["kernel"])
    with pytest.raises(BadInput, match=r"step 15: got no such checkpoint; expected one of: \[10, 20\]"):
        load_network(out, None, 42, step=15)


def test_best_reads_the_parameters_of_the_best_check(tmp_path: Path) -> None:
    """A rate that makes the network worse from the first check on: the best ones are not the last ones."""
    out = run(tmp_path / "out", keep="best", validate_every=10, rate=30.0)
    with Checkpoints(out / "checkpoints" / "group-0") as saved:
        found = saved.read()
    assert found is not None
    best, last = (found[1][f"state/{part}/readout/kernel"] for part in ("early_stopping/best_params", "params"))
    assert not np.array_equal(best[0], last[0]), "the case is one"
    assert np.array_equal(load_network(out, None, 42).params["readout"]["kernel"], best[0])
    assert np.array_equal(load_network(out, None, 42, step=20).params["readout"]["kernel"], last[0])
    with pytest.raises(BadInput, match="keep: got 'best'; expected 'last' or 'all', or validate_every >= 1"):
        run(tmp_path / "other" / "out", keep="best")
