"""SIGKILL of a study's process at random times, half of them while a checkpoint is saved or removed, until it ends."""

import random
import re
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from benchmarks.faults import processes, studies
from benchmarks.faults.studies import differences, repeated_events
from benchmarks.faults.trial import Trial, Trials
from rnnjax.config.load import load_study
from rnnjax.studies.group import KEPT

KILLS_OF_ONE = 20  # of one study; then it goes on to its end and another begins
STEPS_OF_A_KILL = 100  # planned steps for each kill
EVERY = 10  # steps between two checkpoints
LATEST = 0.5  # seconds after a new checkpoint


def saved_steps(out: Path) -> list[int]:
    """The checkpoints that a process has finished, oldest first: a kill must not lose the last."""
    folder = out / "checkpoints" / "group-0"
    return sorted(int(path.name) for path in folder.glob("*") if path.name.isdecimal())


def is_saving(out: Path) -> bool:
    return any((out / "checkpoints" / "group-0").glob("*.orbax-checkpoint-tmp*"))


def is_removing(out: Path) -> bool:
    """Whether an old checkpoint is there that the new one makes superfluous."""
    return len(saved_steps(out)) > KEPT


MOMENTS: dict[str, Callable[[Path], bool] | None] = {
    "at any time": None,
    "in a save": is_saving,
    "in a removal": is_removing,
}
ORDER = ("at any time", "in a save", "at any time", "in a removal")


def kills_trials(count: int, seed: int, folder: Path) -> Trials:
    """One trial is one kill and the beginning of the next attempt; one more is the end of each study."""
    rng, done = random.Random(seed), 0
    while done < count:
        kills = min(KILLS_OF_ONE, count - done)
        place = folder / str(done)
        place.mkdir()
        file = studies.study_file(
            place, steps=kills * STEPS_OF_A_KILL + 5, save_every=EVERY, log_every=EVERY, keep="last"
        )
        yield from killed_study(file, kills, rng)
        done += kills


def killed_study(file: Path, kills: int, rng: random.Random) -> Trials:
    """A study that is killed again and again, beside one that is not."""
    out, whole = file.with_name("out"), file.with_name("whole")
    attempt, moment = 0, ""
    while True:
        before, log = saved_steps(out), file.with_name(f"{attempt}.log")
        resume = ["--resume"] if (out / "manifest.json").exists() else []
        arguments = [str(file), "--out", str(out), *resume]
        with processes.started(processes.run_study_command, arguments, log, {}) as child:
            following = ORDER[attempt % len(ORDER)]
            killed = attempt < kills and kill(child, out, before, following, rng)
            code, _, _ = processes.end_of(child)
        if moment:
            yield Trial(moment, lost_step(log.read_text(), before))
        if not killed:
            break
        attempt, moment = attempt + 1, following
    lost = f"exit code {code}: {log.read_text()[-300:]}" if code else ""
    if not lost:
        studies.run_quietly(load_study(file), whole)
        lost = "; ".join([*differences(out, whole), *repeated_events(out)])
    yield Trial("the end of a study", lost, {"kills of one study": attempt})


def kill(child: ForkServerProcess, out: Path, before: list[int], moment: str, rng: random.Random) -> bool:
    """Kill a process after its first new checkpoint, at a moment; false where it ended before."""
    if not processes.wait_for(lambda: saved_steps(out)[-1:] > before[-1:], child):
        return False
    time.sleep(rng.uniform(0, LATEST))
    condition = MOMENTS[moment]
    if condition is not None and processes.wait_for(lambda: condition(out), child):
        time.sleep(rng.uniform(0, 0.01))
    processes.core_seconds(child)
    child.kill()
    child.join()
    return child.exitcode != 0


def lost_step(words: str, before: list[int]) -> str:
    """What is wrong in the log of a process that went on from a kill. Args: before: the checkpoints it found."""
    going_on = re.search(r"going on from step ([\d,]+)", words)
    step = int(going_on[1].replace(",", "")) if going_on else None
    if "Traceback" in words or "damaged" in words:
        return f"it says {words[-300:]!r}"
    return "" if step == (before[-1] if before else None) else f"went on from step {step}, saved were {before}"
