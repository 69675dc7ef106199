"""Steps, seeds and arms that are added to a run folder: bitwise as if all had been asked for at once, or refused."""

import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rnnjax import devices
from rnnjax.cli.study import main
from rnnjax.config.load import load_study
from rnnjax.errors import BadInput, DamagedState, FolderRefused, RnnjaxError
from rnnjax.storage import run_folder
from rnnjax.storage.checkpoints import Checkpoints
from rnnjax.storage.sealed import read_sealed_json, read_sealed_npz, write_sealed_json
from rnnjax.studies.load_networks import load_networks
from rnnjax.studies.plan import continued_probes
from rnnjax.studies.resume import load_stored_study, stored_overrides
from rnnjax.studies.run import run_study

pytestmark = [pytest.mark.slow, pytest.mark.optimised]

STUDY = """
question = "Does it go on?"
seeds = {seeds}
save_every = 20
keep = "{keep}"
[base]
optimizer = "adam"
schedule = "plateau"
plateau_checks = 2.0
validate_every = {validate_every}
patience = {patience}
initial_state = "random"
dropout = true
dropout_rate = 0.1
window = 5
steps = {steps}
log_every = 10
block = 2
carry = "carried"
task.characters = 500
[[axes]]
hidden = {hidden}
learning_rate = {rates}
[probes]
validation = {validation}
spectrum = {spectrum}
"""
SMALL = {
    "seeds": 2, "steps": 60, "hidden": [6], "rates": [0.01, 0.02], "validation": [0, 30, 60, 100], "spectrum": 2,
    "validate_every": 20, "patience": "inf", "keep": "last",
}  # fmt: skip
LARGE = {"seeds": 3, "steps": 120, "hidden": [5, 6], "rates": [0.03, 0.01, 0.02, 3e38]}  # the last one diverges


def study_file(folder: Path, **changes: Any) -> Path:
    path = folder / "tiny.toml"
    path.write_text(STUDY.format(**SMALL | changes))
    return path


def run(out: Path, resume: bool = False, **changes: Any) -> Path:
    out.parent.mkdir(exist_ok=True)
    run_study(load_study(study_file(out.parent, **changes)), out, resume=resume)
    return out


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("small") / "out")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that the tests add, asked for at once."""
    return run(tmp_path_factory.mktemp("large") / "out", **LARGE)


def copy(folder: Path, to: Path) -> Path:
    return shutil.copytree(folder, to / "out")


def manifest(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "manifest.json").read_text())
    return found


def arrays(out: Path) -> dict[str, bytes]:
    return {
        f"{path.name}:{name}": values.tobytes()
        for path in sorted((out / "metrics").glob("*.npz"))
        for name, values in read_sealed_npz(path).items()
    }


def differences(one: Path, other: Path) -> list[str]:
    """What is not bitwise equal: recorded arrays, hashes of the final states, the config, the summary, networks."""
    ours, theirs = arrays(one), arrays(other)
    found = sorted(ours.keys() ^ theirs.keys()) + [name for name in ours if ours[name] != theirs.get(name)]
    keys = ("state_sha256", "config_sha256", "data_sha256", "all_diverged")
    found += [key for key in keys if manifest(one)[key] != manifest(other)[key]]
    found += [] if (one / "summary.json").read_bytes() == (other / "summary.json").read_bytes() else ["summary.json"]
    return found + [arm for arm in manifest(one)["config"]["arms"] if weights(one, arm) != weights(other, arm)]


def weights(out: Path, arm: str) -> list[tuple[int, list[bytes]]]:
    """The step and the parameters of every seed, as a reader gets them."""
    networks = load_networks(out, arm)
    return [(one.step, [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(one.params)]) for one in networks]


def wrong_events(out: Path) -> list[str]:
    """Events that TensorBoard has twice, rows whose loss it lacks, and losses that are not the mean over the seeds."""
    found: list[str] = []
    for path in sorted((out / "metrics").glob("group-*.npz")):
        recorded, names = read_sealed_npz(path), list(manifest(out)["config"]["arms"])
        for arm in np.unique(recorded["arm"]):
            events = EventAccumulator(str(out / "tb" / names[arm]), size_guidance={"scalars": 0, "histograms": 0})
            events.Reload()
            for kind in ("scalars", "histograms"):
                read = events.Scalars if kind == "scalars" else events.Histograms
                for tag in events.Tags()[kind]:
                    times = Counter(event.step for event in read(tag))
                    found += [f"{names[arm]} {tag} {step} twice" for step, count in times.items() if count > 1]
            loss_S = recorded["rows/loss"][recorded["arm"] == arm].mean(axis=0)
            shown = {event.step: event.value for event in events.Scalars("loss")} if loss_S[-1] < 1e9 else {}
            for step, loss in zip(recorded["row_steps"].tolist(), loss_S, strict=True) if shown else []:
                if not np.isclose(shown.get(step, np.nan), loss):
                    found.append(f"{names[arm]} loss/mean {step}: {shown.get(step)} in place of {loss}")
    return found


# ------------------------------------------------------------------------------------------------------ what is added


WITH_EVERY_STUDY = pytest.mark.skipif(
    not os.environ.get("RNNJAX_EVERY_STUDY"), reason="RNNJAX_EVERY_STUDY=1 runs it; its parts run together below"
)


@WITH_EVERY_STUDY
@pytest.mark.parametrize("added", [["steps"], ["seeds"], ["hidden", "rates"]])
def test_what_is_added_ends_as_if_asked_for_at_once(added: list[str], small: Path, tmp_path: Path) -> None:
    changes = {name: LARGE[name] for name in added}
    whole = run(tmp_path / "whole" / "out", **changes)
    out = run(copy(small, tmp_path), resume=True, **changes)
    assert differences(out, whole) == []
    assert wrong_events(out) == []
    assert manifest(out)["attempt"] == 2 and (out / "DONE.json").exists()


def test_all_that_is_added_in_one_command(small: Path, large: Path, tmp_path: Path) -> None:
    out = run(copy(small, tmp_path), resume=True, **LARGE)
    assert differences(out, large) == []
    assert wrong_events(out) == []


def test_nothing_that_is_there_is_trained_again(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rnnjax.studies.group import GroupTrainer

    advance, trained = GroupTrainer.advance, Counter[tuple[int, int]]()

    def counted(self: GroupTrainer) -> None:
        before = self.step
        advance(self)
        trained.update({(run.arm, run.hp.seed): self.step - before for run in self.runs})

    monkeypatch.setattr(GroupTrainer, "advance", counted)
    run(copy(small, tmp_path), resume=True, seeds=3, steps=120)
    assert trained == {(arm, seed): 120 if seed == 44 else 60 for arm in (0, 1) for seed in (42, 43, 44)}


@pytest.mark.exhaustive
def test_one_thing_after_the_other_ends_the_same(small: Path, large: Path, tmp_path: Path) -> None:
    """By the folder alone where that is possible; each time readers find the networks."""
    out = copy(small, tmp_path)
    run_study(load_stored_study(out, [], 3), out, resume=True)
    assert [network.step for network in load_networks(out, None)] == [60] * 3
    run_study(load_stored_study(out, ["steps=120"]), out, resume=True)
    run(out, resume=True, **LARGE)
    assert differences(out, large) == []
    assert wrong_events(out) == []


class Killed(BaseException):
    """Stands for a kill: nothing of ours catches it."""


def dying(function: Callable[..., Any], number: int) -> Callable[..., Any]:
    """The function, whose n-th call is the last thing that a process does."""
    calls = []

    def call(*arguments: Any, **named: Any) -> Any:
        found = function(*arguments, **named)
        calls.append(None)
        if len(calls) == number:
            raise Killed
        return found

    return call


@pytest.mark.parametrize(
    "place",
    [
        "results forgotten",
        "save 4",
        *(pytest.param(place, marks=WITH_EVERY_STUDY) for place in ("save 1", "save 9")),
    ],
)
def test_a_kill_while_something_is_added(
    place: str, small: Path, large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = copy(small, tmp_path)
    with monkeypatch.context() as patch:
        if place.startswith("save"):
            patch.setattr(Checkpoints, "save", dying(Checkpoints.save, int(place[5:])))
        else:
            patch.setattr(run_folder, "_forget_results", dying(run_folder._forget_results, 1))
        with pytest.raises(Killed):
            run(out, resume=True, **LARGE)
    assert not (out / "DONE.json").exists()
    run(out, resume=True, **LARGE)
    assert differences(out, large) == []
    assert wrong_events(out) == []


def test_a_stopped_run_is_added_to(large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Checkpoints, "save", dying(Checkpoints.save, 2))
        run(out)
    run(out, resume=True, **LARGE)
    assert differences(out, large) == []


def test_the_order_of_arms_may_change(small: Path, tmp_path: Path) -> None:
    """Runs are known by their arm and seed, not by their row in a checkpoint."""
    turned = SMALL["rates"][::-1]
    whole = run(tmp_path / "whole" / "out", rates=turned)
    out = run(copy(small, tmp_path), resume=True, rates=turned)
    assert differences(out, whole) == []


def test_log_spaced_probes_keep_what_was_measured(small: Path, tmp_path: Path) -> None:
    """Their points depend on the length of training; training itself does not."""
    probes = {"validation": 6, "spectrum": 4}
    whole = run(tmp_path / "whole" / "out", steps=120, **probes)
    out = run(tmp_path / "out", **probes)
    before = read_sealed_npz(out / "metrics" / "group-0.npz")
    run(out, resume=True, steps=120, **probes)
    after, at_once = (
        read_sealed_npz(out / "metrics" / "group-0.npz"),
        read_sealed_npz(whole / "metrics" / "group-0.npz"),
    )
    kept = [after["probe_steps"].tolist().index(step) for step in before["probe_steps"]]
    assert after["probe_steps"][-1] == 120 and after["probes/validation_loss"].shape[1] > len(kept)
    for name in ("probes/validation_loss", "probes/spectral_radius"):
        taken = before[f"measured_at/{name[7:]}"]
        assert np.array_equal(after[name][:, kept][:, taken], before[name][:, taken])
        assert np.array_equal(after[name][:, -1], at_once[name][:, -1])
    assert all(after[name].tobytes() == at_once[name].tobytes() for name in after if name.startswith("rows/"))
    assert weights(out, "hidden=6,rate=0.01") == weights(whole, "hidden=6,rate=0.01")


def test_points_of_probes() -> None:
    """By hand: what is asked for where all of it is there, else what everyone has or will have."""
    assert continued_probes({"p": [0, 20, 40]}, []) == {"p": [0, 20, 40]}
    assert continued_probes({"p": [0, 20, 40]}, [(20, {"p": [0, 10, 20]})]) == {"p": [0, 20, 40]}
    assert continued_probes({"p": [0, 15, 40]}, [(20, {"p": [0, 10, 20]})]) == {"p": [0, 10, 20, 40]}
    assert continued_probes({"p": [0, 15, 40]}, [(12, {"p": [0, 10, 20]})]) == {"p": [0, 15, 40]}
    assert continued_probes({"p": [0, 15, 40]}, [(20, {"p": [0, 10]}), (5, {"p": [0]})]) == {"p": [0, 10, 40]}
    assert continued_probes({"p": [0, 40]}, [(-1, {})]) == {"p": [0, 40]}


# ------------------------------------------------------------------------------------------------------- what is not


def snapshot(folder: Path) -> dict[str, Any]:
    paths = [path for path in sorted(folder.rglob("*")) if path.name not in (".lock", "tiny.toml")]
    return {str(p): (p.lstat().st_mtime_ns, p.read_bytes() if p.is_file() else None) for p in paths}


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "fewer steps": ({}, {"steps": 40}, r"holds another config: it has arms.*steps 60, config says 40.*can be added"),
    "fewer seeds": ({}, {"seeds": 1}, r"it has seeds \[42, 43\], config says \[42\]"),
    "other seeds": ({}, {"seeds": [42, 44, 45]}, r"it has seeds \[42, 43\], config says \[42, 44, 45\]"),
    "fewer arms": ({}, {"rates": [0.01]}, "it has arm hidden=6,rate=0.02 .*config says .*nothing"),
    "another probe": ({}, {"validation": 3, "steps": 120}, r"it has probes.validation \[0, 30, 60, 100\], config"),
    "another cadence": ({}, {"validate_every": 30, "seeds": 3}, "validate_every 20, config says 30"),
    "a part of a row": ({"steps": 55}, {"steps": 120}, "cannot add steps after step 55: its last row of the log is"),
    "a check out of turn": ({"steps": 50}, {"steps": 120}, "after step 50: its last validation check is out of turn"),
    "patience": ({"patience": 9.0}, {"steps": 120}, "with a finite patience the end of training takes the best"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_added_is_refused_and_nothing_is_changed(case: str, small: Path, tmp_path: Path) -> None:
    before, after, message = REFUSED[case]
    out = run(tmp_path / "out", **before) if before else copy(small, tmp_path)
    files = snapshot(out)
    with pytest.raises(FolderRefused, match=message) as refused:
        run(out, resume=True, **before | after)
    assert "\n" not in str(refused.value)
    assert snapshot(out) == files


def test_a_run_that_its_patience_has_ended_takes_more_steps(tmp_path: Path) -> None:
    """It has taken its best parameters already, and no further step changes them."""
    changes = {"patience": 0.5, "rates": [2.0], "seeds": 1}
    whole = run(tmp_path / "whole" / "out", steps=120, **changes)
    out = run(tmp_path / "out", **changes)
    with Checkpoints(out / "checkpoints" / "group-0") as saved:
        found = saved.read()
    assert found is not None and found[1]["state/early_stopping/stopped_at"][0] > 0, "the case is one"
    assert differences(run(out, resume=True, steps=120, **changes), whole) == []


def test_without_resume_a_finished_run_is_not_added_to(small: Path, tmp_path: Path) -> None:
    out = copy(small, tmp_path)
    with pytest.raises(FolderRefused, match=r"to which --resume can add steps 120 \(from 60\), 3 seeds \(from 2\)"):
        run(out, steps=120, seeds=3)


def test_damaged_checkpoints_are_not_added_to(small: Path, tmp_path: Path) -> None:
    out = copy(small, tmp_path)
    for path in (out / "checkpoints" / "group-0").rglob("*"):
        if path.is_file() and path.stat().st_size > 500:
            path.write_bytes(path.read_bytes()[:-3] + b"abc")
    files = snapshot(out)
    with pytest.raises(DamagedState, match="no checkpoint in .* verifies"):
        run(out, resume=True, steps=120)
    assert snapshot(out) == files


def test_a_finished_run_without_checkpoints_is_not_trained_again(small: Path, tmp_path: Path) -> None:
    out = copy(small, tmp_path)
    shutil.rmtree(out / "checkpoints")
    files = snapshot(out)
    with pytest.raises(FolderRefused, match="the checkpoints of group-0 are gone"):
        run(out, resume=True, seeds=3)
    assert snapshot(out) == files


# -------------------------------------------------------------------------------------------------- the folder alone


def test_a_folder_knows_its_study(small: Path) -> None:
    stored = load_stored_study(small)
    assert json.loads(json.dumps(stored.config)) == manifest(small)["config"]
    assert stored.seeds == [42, 43] and [arm.name for arm in stored.arms] == [
        "hidden=6,rate=0.01",
        "hidden=6,rate=0.02",
    ]
    assert stored.overrides == ""


def test_what_is_asked_of_a_folder_is_told_against_its_file(small: Path, tmp_path: Path) -> None:
    out = copy(small, tmp_path)
    longer = load_stored_study(out, ["steps=120"], 3)
    assert longer.overrides == "steps 120 (file: 60), 3 seeds (file: 2)"
    assert longer.seeds == [42, 43, 44] and {arm.spec.steps for arm in longer.arms} == {120}
    file = study_file(tmp_path, steps=120)
    run_study(load_study(file, ["steps=60"]), tmp_path / "short")
    assert load_stored_study(tmp_path / "short").overrides == "steps 60 (file: 120)"
    assert load_stored_study(tmp_path / "short", ["steps=120"]).overrides == ""


def test_words_of_an_older_rnnjax_stay(small: Path, tmp_path: Path) -> None:
    """It stored no values of the file; without its words a short run would be held to all rules."""
    out = copy(small, tmp_path)
    tree = read_sealed_json(out / "study.json")
    write_sealed_json(out / "study.json", tree | {"overrides": "steps 60 (file: 90)"})
    assert load_stored_study(out).overrides == "steps 60 (file: 90)"
    assert load_stored_study(out, [], 3).overrides == "steps 60 (file: 90), 3 seeds (file: 2)"


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"overrides": ["hiden=3"]}, BadInput, "unknown field 'hiden'; did you mean 'hidden'"),
        ({"overrides": ["learning_rate=0.3"]}, BadInput, "--set learning_rate: differs between the arms"),
        ({"overrides": ["steps=0"]}, BadInput, "steps: got 0; expected integer >= 1"),
        ({"seeds": 0}, BadInput, "seeds: got 0; expected at least one seed"),
        ({"seeds": 90, "max_runs": 100}, BadInput, "180 runs; limit 100"),
    ],
)
def test_bad_input_for_a_folder(asked: dict[str, Any], error: type[RnnjaxError], message: str, small: Path) -> None:
    with pytest.raises(error, match=message):
        load_stored_study(small, **asked)


def test_the_settings_with_which_a_file_was_run(tmp_path: Path) -> None:
    """As --set reads them: numbers, infinity, words and truth."""
    out = tmp_path / "out"
    overrides = ["window=4", "clip_norm=inf", 'optimizer="sgd"', "layer_norm=true", "steps=20"]
    run_study(load_study(study_file(tmp_path, rates=[0.01]), overrides, 1), out)
    assert stored_overrides(out) == (overrides, 1)


def test_another_setting_is_refused_by_the_folder(small: Path, tmp_path: Path) -> None:
    out = copy(small, tmp_path)
    with pytest.raises(
        FolderRefused, match="it has arms.*window 5, config says 6.*more steps, seeds or arms can be added"
    ):
        run_study(load_stored_study(out, ["window=6"]), out, resume=True)


def test_nothing_to_resume(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(FolderRefused, match="nothing to resume in "):
            load_stored_study(folder)


def command(monkeypatch: pytest.MonkeyPatch, *options: object) -> None:
    """scripts/study.py in this process."""
    monkeypatch.setattr(devices, "prepare", lambda: None)  # JAX is set up already
    monkeypatch.setattr(sys, "argv", ["study.py", *map(str, options)])
    main()


def test_the_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """In an empty folder it begins; then the folder alone is enough, also for a file that follows --resume."""
    file, out = study_file(tmp_path, seeds=1, rates=[0.01]), tmp_path / "out"
    out.mkdir()
    command(monkeypatch, file, "--out", out, "--resume")
    assert (out / "DONE.json").exists() and f"--resume {out} --steps 120" in capfd.readouterr().err
    command(monkeypatch, "--resume", out, "--steps", 80, "--seeds", 2)
    words = capfd.readouterr().err
    assert f"{out}: adding steps 80 (from 60), 2 seeds (from 1)" in words and "going on from step 60" in words
    assert [network.step for network in load_networks(out, None)] == [80, 80]
    monkeypatch.chdir(tmp_path)
    command(monkeypatch, "--resume", file, "--out", out, "--steps", 80, "--seeds", 2)
    assert f"{out} is finished" in capfd.readouterr().err
    command(monkeypatch, file, "--resume", out)
    assert f"{out} is finished" in capfd.readouterr().err, "the folder knows that it has 80 steps and 2 seeds"
    command(monkeypatch, study_file(tmp_path, seeds=1, rates=[0.01, 0.02]), "--resume", out)
    assert "adding 1 more arm" in capfd.readouterr().err
    assert [network.step for network in load_networks(out, "hidden=6,rate=0.02")] == [80, 80]
    with pytest.raises(BadInput, match="got one folder for 2 studies"):
        command(monkeypatch, file, file, "--resume", out)
