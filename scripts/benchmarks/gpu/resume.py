"""Section 4: a study that is stopped by SIGTERM and resumed ends with the state of one that was never stopped."""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.gpu import process
from benchmarks.gpu.report import Figures, Measurement

STUDY = """
question = "Does a stopped study end like one that was never stopped?"
seeds = 4
save_every = {save_every}
[base]
steps = {steps}
cell = "{cell}"
"""
STEPS, SAVES = 3000, 6  # the display shows the loss after the first chunk; steps are enough to be stopped after it
SECONDS = 90  # of one process
IN_TRAINING = ", loss "  # appears in the log with the first chunk
STOPPED = 128 + signal.SIGTERM  # exit code


def measurements(quick: bool) -> Iterator[Measurement]:
    """The same study whether quick or not: it has to last longer than a signal takes."""
    yield "elman", partial(stopped_and_resumed, "elman", STEPS)


def stopped_and_resumed(cell: str, steps: int) -> Figures:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "study.toml"
        file.write_text(STUDY.format(cell=cell, steps=steps, save_every=steps // SAVES))
        code, seconds = run(file, folder / "whole")
        stopped, _ = run(file, folder / "parted", stop=True)
        saved = saved_steps(folder / "parted")
        resumed, _ = run(file, folder / "parted", "--resume")
        hashes = [state_hashes(folder / out) for out in ("whole", "parted")]
    codes = {"whole": code, "stopped": stopped, "resumed": resumed}
    expected = list(codes.values()) == [0, STOPPED, 0]
    was_between = bool(saved) and 0 < max(saved) < steps
    return {
        "ok": expected and was_between and bool(hashes[0]) and hashes[0] == hashes[1],
        "exit_codes": codes,
        "stopped_at_step": max(saved, default=None),
        "steps": steps,
        "state_sha256": dict(zip(("whole", "resumed"), hashes, strict=True)),
        "seconds_of_a_whole_study": seconds,
    }


def run(file: Path, out: Path, *options: str, stop: bool = False) -> tuple[int, float]:
    """(exit code, seconds) of scripts/study.py; with `stop` it gets SIGTERM once it trains.

    Raises:
        TimeoutError: it took too long. RuntimeError: exit code 1, a bug or a crash of the device.
    """
    log, started = out.with_suffix(".log"), time.monotonic()
    command = [sys.executable, str(process.STUDY), str(file), "--out", str(out), *options]
    with log.open("wb") as stderr:
        child = subprocess.Popen(command, env=process.environment({}), stdout=stderr, stderr=stderr, cwd=file.parent)
        try:
            if stop:
                wait_for(IN_TRAINING, log, child)
                child.send_signal(signal.SIGTERM)
            code = child.wait(SECONDS)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"study {out.name}: still running after {SECONDS} seconds") from None
        finally:
            process.end(child)
    if code not in (0, STOPPED):
        raise RuntimeError(f"study {out.name}: exit code {code}: {log.read_text(errors='replace')[-300:]}")
    return code, time.monotonic() - started


def wait_for(word: str, log: Path, child: subprocess.Popen[bytes]) -> None:
    """Until the word is in the log or the process has ended. Raises TimeoutError."""
    end = time.monotonic() + SECONDS
    while word not in log.read_text(errors="replace") and child.poll() is None:
        if time.monotonic() > end:
            raise TimeoutError(f"no {word!r} in {SECONDS} seconds")
        time.sleep(0.005)


def saved_steps(out: Path) -> list[int]:
    """The steps of the checkpoints of all groups."""
    return sorted(int(path.name) for path in (out / "checkpoints").glob("*/*") if path.name.isdigit())


def state_hashes(out: Path) -> dict[str, Any]:
    """sha256 of each group's final states, records and probes."""
    return json.loads((out / "manifest.json").read_text()).get("state_sha256", {})
