"""A study that is killed, stopped or cut anywhere ends bitwise as the one that was not.

What can be said exactly (every boundary, every leaf of a checkpoint, every chunk length) is tried in this process;
tests/faults/ kills real ones at random times.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from benchmarks.faults.studies import differences, repeated_events, shared_programs
from rnnjax.config.load import load_study
from rnnjax.errors import AllDiverged, Stopped
from rnnjax.storage.checkpoints import Checkpoints
from rnnjax.storage.sealed import read_sealed_npz
from rnnjax.studies import group
from rnnjax.studies import run as run_module
from rnnjax.studies.group import GroupTrainer
from rnnjax.studies.load_results import load_results
from rnnjax.studies.run import run_study

pytestmark = [pytest.mark.slow, pytest.mark.optimised]  # when a run stops learning depends on its bits

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "study.py"
STEPS, EVERY = 205, 20  # the last row of the record and the last interval are short

TINY = """
question = "Does it resume?"
seeds = 3
save_every = {save_every}
[base]
optimizer = "adam"
schedule = "plateau"
plateau_checks = 3.0
patience = 3.0
validate_every = {validate_every}
initial_state =  "random"
dropout = true
dropout_rate = 0.1
hidden = 8
window = 5
steps = {steps}
log_every = {log_every}
block = 2
carry = "carried"
task.characters = 500
[[axes]]
learning_rate = {rates}
[probes]
spectrum = 5
validation = 5
"""
DIVERGING = 3e38
RATES = [0.01, 1.0, DIVERGING]  # one learns, one gets worse and is stopped


def study_file(folder: Path, **settings: Any) -> Path:
    values = {"save_every": EVERY, "steps": STEPS, "log_every": 10, "rates": RATES, "validate_every": EVERY} | settings
    path = folder / "tiny.toml"
    path.write_text(TINY.format(**values))
    return path


def arrays(out: Path) -> dict[str, np.ndarray]:
    return read_sealed_npz(out / "metrics" / "group-0.npz")


def manifest(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "manifest.json").read_text())
    return found


# --------------------------------------------------------------------------------------------------- in this process


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Compiled programs of this module only: a killed process may leave half of one."""
    folder = tmp_path_factory.mktemp("cache")
    before = jax.config.jax_compilation_cache_dir
    compilation_cache.reset_cache()
    jax.config.update("jax_compilation_cache_dir", str(folder))
    yield folder
    jax.config.update("jax_compilation_cache_dir", before)
    compilation_cache.reset_cache()


@pytest.fixture(scope="module", autouse=True)
def compiled_once() -> Iterator[None]:
    """The attempts of a study share what is a pure function of it; the real processes below make all of it anew."""
    with shared_programs():
        yield


class Killed(BaseException):
    """Stands for a kill: nothing of ours catches it."""


def run(file: Path, out: Path, resume: bool = False) -> Path:
    run_study(load_study(file), out, resume=resume)
    return out


def killed_at(step: int, file: Path, out: Path, saved: bool = True) -> Path:
    """A study that is gone right after its checkpoint of `step`, or right before."""
    save = Checkpoints.save

    def save_and_die(self: Checkpoints, at: int, tree: Any) -> None:
        if saved or at != step:
            save(self, at, tree)
        if at == step:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "save", save_and_die)
        with pytest.raises(Killed):
            run(file, out)
    return out


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return study_file(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def whole(tiny: Path) -> Path:
    """The uninterrupted study."""
    return run(tiny, tiny.parent / "whole")


@pytest.fixture(scope="module")
def half(tiny: Path) -> Path:
    """The study killed in the middle, when the runs of one arm have diverged."""
    return killed_at(100, tiny, tiny.parent / "half")


def test_the_study_is_what_it_should_be(whole: Path) -> None:
    found = arrays(whole)
    assert (found["diverged_at"] >= 0).tolist() == [False] * 6 + [True] * 3
    assert found["row_steps"].tolist() == [*range(10, 201, 10), 205]
    assert np.isfinite(found["rows/loss"][:3]).all() and np.isfinite(found["probes/validation_loss"][:3, [0, -1]]).all()
    assert not repeated_events(whole)


@pytest.mark.parametrize("step", [*range(EVERY, STEPS, EVERY), STEPS])
def test_resume_at_every_boundary(step: int, tiny: Path, whole: Path, tmp_path: Path) -> None:
    out = killed_at(step, tiny, tmp_path / "out")
    run(tiny, out, resume=True)
    assert differences(out, whole) == []
    assert repeated_events(out) == []
    assert manifest(out)["attempt"] == 2


@pytest.mark.parametrize("damage", ["flipped", "cut"])
def test_damaged_curves_are_written_again(damage: str, tiny: Path, half: Path, whole: Path, tmp_path: Path) -> None:
    """TensorBoard would show the wrong value, or nothing behind it."""
    out = shutil.copytree(half, tmp_path / "out")
    for path in sorted(out.glob("tb/*/events*"))[:1]:
        data = bytearray(path.read_bytes())
        middle = len(data) // 2
        data[middle] ^= 4
        path.write_bytes(data if damage == "flipped" else data[:middle])
    run(tiny, out, resume=True)
    assert differences(out, whole) == []
    assert repeated_events(out) == []


def test_what_was_drawn_after_the_last_save_is_drawn_once(tiny: Path, whole: Path, tmp_path: Path) -> None:
    out = killed_at(100, tiny, tmp_path / "out", saved=False)
    run(tiny, out, resume=True)
    assert differences(out, whole) == []
    assert repeated_events(out) == []


def test_resume_after_the_last_step_repeats_no_event(
    tiny: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(run_module, "analyse", raising(Killed()))
        run(tiny, out)
    run(tiny, out, resume=True)
    assert differences(out, whole) == []
    assert repeated_events(out) == []


def raising(error: BaseException) -> Callable[..., None]:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    return fail


def test_a_stop_between_the_saves_changes_nothing(
    tiny: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal comes at step 30, where the plan saves nothing, and again, in the next attempt, in the last chunk."""
    advance, out = GroupTrainer.advance, tmp_path / "out"

    def stopping_at(step: int) -> Callable[[GroupTrainer], None]:
        def stopped(self: GroupTrainer) -> None:
            advance(self)
            if self.step == step:
                os.kill(os.getpid(), signal.SIGTERM)

        return stopped

    monkeypatch.setattr(group, "CHUNK_SECONDS", 0.0)  # chunks of one row
    monkeypatch.setattr(GroupTrainer, "advance", stopping_at(30))
    with pytest.raises(Stopped, match="--resume") as stopped:
        run(tiny, out)
    assert stopped.value.exit_code == 143
    assert (out / "checkpoints" / "group-0" / "30").is_dir() and manifest(out)["state"] == "interrupted"
    monkeypatch.setattr(GroupTrainer, "advance", stopping_at(STEPS))
    with pytest.raises(Stopped, match="^stopped; all groups are trained and saved; to go on: .* --resume"):
        run(tiny, out, resume=True)
    monkeypatch.setattr(GroupTrainer, "advance", advance)
    run(tiny, out, resume=True)
    assert differences(out, whole) == []


def leaves_of_a_checkpoint() -> list[str]:
    weights = ["layer_0/bias", "layer_0/kernel", "layer_0/recurrent_kernel", "readout/bias", "readout/kernel"]
    state = ["alive", "carry/layer_0", "diverged_at", "step", "opt_state/1/count"]
    stopping = ["best_loss", "bad_checks", "bad_checks_since_decay", "lr_scale", "stopped_at"]
    trees = ["params", "opt_state/1/mu", "opt_state/1/nu", "early_stopping/best_params"]
    record = ["loss", "gradient_norm", "clip_share", "update_norm", "objective"]
    probes = ["spectral_radius", "eigenvalue_departure", "spectral_norm", "henrici", "validation_loss"]
    return [
        *(f"state/{tree}/{name}" for tree in trees for name in weights),
        *(f"state/{name}" for name in state),
        *(f"state/early_stopping/{name}" for name in stopping),
        *(f"seen/record/{name}" for name in record),
        *(f"seen/probes/{name}" for name in probes),
    ]


def test_the_leaves_are_all_that_is_saved(half: Path) -> None:
    with Checkpoints(half / "checkpoints" / "group-0") as saved:
        found = saved.read()
    assert found is not None
    assert set(found[1]) == set(leaves_of_a_checkpoint())


@pytest.mark.parametrize("leaf", leaves_of_a_checkpoint())
def test_every_leaf_is_needed(leaf: str, tiny: Path, whole: Path, half: Path, tmp_path: Path) -> None:
    """Teeth: a checkpoint that forgets one leaf ends otherwise, so the tests above would see it."""
    out = shutil.copytree(half, tmp_path / "out")
    restore, forgotten = Checkpoints.restore, []

    def forgetful(self: Checkpoints, like: Any) -> Any:
        found = restore(self, like)
        assert found is not None

        def remember(path: Any, initial: Any, saved: Any) -> Any:
            if jax.tree_util.keystr(path, simple=True, separator="/") != leaf:
                return saved
            forgotten.append(np.asarray(initial).tobytes() != np.asarray(saved).tobytes())
            return initial

        return found[0], jax.tree_util.tree_map_with_path(remember, like, found[1])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "restore", forgetful)
        run(tiny, out, resume=True)
    assert forgotten == [True], "the leaf has not changed since the start"
    assert differences(out, whole) != []


@pytest.mark.parametrize("patience", [0.0, 1e9])
def test_the_length_of_chunks_does_not_matter(
    patience: float, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance, chunks = GroupTrainer.advance, []

    def counted(self: GroupTrainer) -> None:
        before = self.step
        advance(self)
        chunks.append(self.step - before)

    file = study_file(tmp_path, save_every=STEPS)
    monkeypatch.setattr(GroupTrainer, "advance", counted)
    monkeypatch.setattr(group, "CHUNK_SECONDS", patience)
    out = run(file, tmp_path / "out")
    assert max(chunks) == (10 if patience == 0 else EVERY), "the looks at the held-out loss part them"
    assert differences(out, whole) == []


def test_where_all_runs_diverge_there_is_a_report_and_exit_code_5(tmp_path: Path) -> None:
    file, out = study_file(tmp_path, rates=[DIVERGING], steps=50), tmp_path / "out"
    with pytest.raises(AllDiverged, match=r"every run diverged; see .*report\.html") as error:
        run(file, out)
    assert error.value.exit_code == 5
    assert (out / "report.html").exists() and (out / "DONE.json").exists()
    summary = json.loads((out / "summary.json").read_text(), parse_constant=pytest.fail)  # no NaN, no Infinity
    assert summary["arms"][0]["diverged"] == 3
    for resume in (False, True):  # repeating the command repeats its answer
        with pytest.raises(AllDiverged, match="every run diverged"):
            run(file, out, resume=resume)


def test_texts_of_one_symbol_are_kept(tmp_path: Path) -> None:
    """Networks that write only the symbol of id 0 have samples like all others: the plan says what was taken."""
    file = tmp_path / "silent.toml"
    file.write_text(
        "question = 'q'\nseeds = 2\n[base]\nhidden = 3\nwindow = 5\nsteps = 20\nblock = 2\ntask.name = 'text'\n"
        "task.path = 'spaces.txt'\n[probes]\ntext = 2\n"
    )
    (tmp_path / "spaces.txt").write_text(" " * 1_000 + "a" + " " * 500)
    with contextlib.chdir(tmp_path):
        run(file, tmp_path / "out")
    results = load_results(tmp_path / "out")
    assert not results.arms[0].probes["text_greedy"][:, -1].any(), "the case is one"
    written = (tmp_path / "out" / "samples" / "base.txt").read_text()
    assert written.count("--- greedy, step 0,") == written.count("--- greedy, step 20,") == 2


# ------------------------------------------------------------------------------------------------- in real processes


@contextlib.contextmanager
def process(log: Path, cache: Path, *options: object, code: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """scripts/study.py, with its words in `log`; gone when the context ends."""
    start = ["-c", code] if code else [str(SCRIPT)]
    environment = os.environ | {"RNNJAX_CACHE": str(cache)}
    with log.open("wb") as words:
        command = [sys.executable, *start, *map(str, options)]
        child = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=words, stderr=words)
        try:
            yield child
        finally:
            child.kill()
            child.wait()


def wait_for(what: Callable[[], bool], child: subprocess.Popen[bytes], log: Path, seconds: float = 60) -> bool:
    """Whether `what` became true before the process ended."""
    limit = time.monotonic() + seconds
    while not what():
        if child.poll() is not None:
            return False
        assert time.monotonic() < limit, log.read_text()
        time.sleep(0.002)
    return True


def saved_steps(out: Path) -> list[int]:
    """The checkpoints that a process has finished, which a kill must not lose."""
    folder = out / "checkpoints" / "group-0"
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(name) for name in names if name.isdecimal())


@pytest.mark.parametrize("numbers", [{signal.SIGTERM: 143}, {signal.SIGINT: 130, signal.SIGHUP: 129}])
def test_a_signal_saves_and_ends(numbers: dict[signal.Signals, int], tmp_path: Path, cache: Path) -> None:
    file = study_file(tmp_path, steps=10**8, log_every=10**4, save_every=10**8)
    logs, outs = ({number: tmp_path / f"{word}-{number}" for number in numbers} for word in ("log", "out"))
    with contextlib.ExitStack() as stack:
        children = {
            number: stack.enter_context(process(logs[number], cache, file, "--out", outs[number])) for number in numbers
        }
        for number, child in children.items():
            assert wait_for(lambda log=logs[number]: ", loss " in log.read_text(), child, logs[number])
        started = time.monotonic()
        for number, child in children.items():
            child.send_signal(number)
        assert {number: child.wait(30) for number, child in children.items()} == numbers
        assert time.monotonic() - started < 10
    for number in numbers:
        last = logs[number].read_text().splitlines()[-1]
        assert last == f"rnnjax: error: stopped and saved; to go on: python scripts/study.py --resume {outs[number]}"
        assert len(saved_steps(outs[number])) == 1 and 0 < saved_steps(outs[number])[0] < 10**8
        assert manifest(outs[number])["state"] == "interrupted"


HANGING = f"""
import runpy, sys, time
from rnnjax.storage.checkpoints import Checkpoints

def hang(self, step, tree):
    print("SAVING", file=sys.stderr, flush=True)
    time.sleep(60)

Checkpoints.save = hang
sys.argv[0] = "study.py"
sys.path.insert(0, {str(ROOT)!r})
runpy.run_path({str(SCRIPT)!r}, run_name="__main__")
"""


def test_a_second_signal_ends_at_once(tmp_path: Path, cache: Path) -> None:
    """Even where the disk does not answer."""
    file, log = study_file(tmp_path), tmp_path / "log"
    with process(log, cache, file, "--out", tmp_path / "out", code=HANGING) as child:
        assert wait_for(lambda: "SAVING" in log.read_text(), child, log)
        child.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert child.poll() is None
        started = time.monotonic()
        child.send_signal(signal.SIGINT)
        assert child.wait(10) == 130
        assert time.monotonic() - started < 1
    assert "Traceback" not in log.read_text()
