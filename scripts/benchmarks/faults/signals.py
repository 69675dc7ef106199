"""SIGINT, SIGTERM and SIGHUP at random times, with an empty and with a filled cache of compiled programs."""

import os
import random
import shutil
import signal
import time
from pathlib import Path

from benchmarks.faults import processes, studies
from benchmarks.faults.kills import saved_steps
from benchmarks.faults.trial import Trial, Trials
from rnnjax.devices import CACHE
from rnnjax.errors import DamagedState
from rnnjax.storage.checkpoints import Checkpoints

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LIMIT = 10.0  # seconds from the signal to the end; on a busy machine core-seconds tell how long an idle one would take
PHASES = ("starting", "compiling", "training")


def signals_trials(count: int, seed: int, folder: Path) -> Trials:
    """Every cache and phase in turn."""
    rng = random.Random(seed)
    file = studies.study_file(folder, steps=10**8, save_every=10**7, log_every=10**4)
    for number in range(count):
        cache = ("cold", "warm")[number % 2]
        if cache == "cold":
            shutil.rmtree(folder / "cold", ignore_errors=True)
        shutil.rmtree(folder / "out", ignore_errors=True)
        phase = PHASES[number // 2 % len(PHASES)]
        yield signalled(file, folder / cache, phase, rng)


def signalled(file: Path, cache: Path, phase: str, rng: random.Random) -> Trial:
    """Send one signal to a study in a phase, and examine its end."""
    out, log, number = file.with_name("out"), file.with_name("log"), rng.choice(SIGNALS)
    log.unlink(missing_ok=True)
    reached = {
        "starting": lambda: log.exists(),
        "compiling": lambda: "compiling" in read(log),
        "training": lambda: ", loss " in read(log),
    }[phase]
    with processes.started(
        processes.run_study_command, [str(file), "--out", str(out)], log, {CACHE: str(cache)}
    ) as child:
        processes.wait_for(reached, child)
        time.sleep(rng.uniform(0, 2))
        begun = (out / "manifest.json").exists()
        assert child.pid is not None
        os.kill(child.pid, number)
        code, seconds, cores = processes.end_of(child)
    right = {128 + number} if begun else {128 + number, -number}
    lost = f"exit code {code} after signal {number} while {phase}: {read(log)[-300:]!r}" if code not in right else ""
    lost = lost or ("a traceback" if "Traceback" in read(log) and begun else "")
    lost = lost or (f"{seconds:.1f} s, {cores:.1f} core-seconds" if min(seconds, cores) > LIMIT else "")
    return Trial(f"{cache.name}, {phase}", lost or bad_state(out), {"seconds": seconds, "core-seconds": cores})


def read(log: Path) -> str:
    return log.read_text(errors="replace") if log.exists() else ""


def bad_state(out: Path) -> str:
    """Whether the last checkpoint does not verify."""
    steps = saved_steps(out)
    try:
        with Checkpoints(out / "checkpoints" / "group-0") as saved:
            found = saved.read(steps[-1]) if steps else None
    except DamagedState as error:
        return str(error)
    return "" if (found is None) == (not steps) else f"no checkpoint of step {steps[-1]}"
