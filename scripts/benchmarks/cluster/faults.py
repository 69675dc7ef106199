"""Kills at random times: is any result lost or wrong, and is every group computed once?"""

import random
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from benchmarks.cluster.processes import Cluster, run_study, start_study
from rnnjax.storage.manifest import read_manifest
from rnnjax.storage.sealed import read_sealed_npz

STUDY = """
question = "What do kills change?"
seeds = 12
save_every = 500
[base]
hidden = 6
window = 10
steps = 6_000
log_every = 50
block = 2
task.characters = 1_000
[[axes]]
cell = ["elman", "gru"]
learning_rate = [0.01, 0.05]
"""
PAUSES = (4.0, 20.0)  # seconds between two kills
SCHEDULER_LOST = 7  # exit code


class Kills:
    """What is still to be killed, and the faults that were found."""

    def __init__(self, workers: int, schedulers: int, seed: int, pauses: tuple[float, ...]) -> None:
        self.left = {"worker": workers, "scheduler": schedulers}
        self.pauses = pauses
        self.done: Counter[str] = Counter()
        self.faults: list[str] = []
        self.studies, self.resumes, self.attempts = 0, 0, 0
        self.random = random.Random(seed)

    def pause(self) -> float:
        """The time of the next kill."""
        return time.monotonic() + self.random.uniform(*self.pauses)

    def strike(self, cluster: Cluster) -> None:
        """Kill a worker or the scheduler, each as often as it is asked for."""
        kinds = [kind for kind, number in self.left.items() for _ in range(number)]
        if kinds:
            kind = self.random.choice(kinds)
            cluster.kill(None if kind == "scheduler" else self.random.randrange(len(cluster.workers)))
            self.left[kind] -= 1
            self.done[kind] += 1


def measure_kills(
    folder: Path, kills_of: tuple[int, int], seed: int, pauses: tuple[float, ...], end: float
) -> dict[str, Any]:
    """Run studies until all kills are done, or the time is up.

    Args: kills_of: workers and schedulers. pauses: seconds between kills. end: of `time.monotonic`.
    """
    folder.mkdir(parents=True)
    (folder / "kills.toml").write_text(STUDY)
    config = str(folder / "kills.toml")
    run_study(config, "--out", str(folder / "alone"))
    kills = Kills(*kills_of, seed, pauses)
    with Cluster(folder / "logs", [(), ()]) as cluster:
        while any(kills.left.values()) and time.monotonic() < end and not kills.faults:
            out = folder / f"killed-{kills.studies}"
            run_under_kills(cluster, kills, config, out)
            kills.studies += 1
            kills.faults += compare(folder / "alone", out, kills) if not kills.faults else []
    return {
        "seed": seed,
        "studies": kills.studies,
        "worker_kills": kills.done["worker"],
        "scheduler_kills": kills.done["scheduler"],
        "resumes": kills.resumes,
        "attempts_at_parts": kills.attempts,
        "lost_or_wrong": len(kills.faults),
        "faults": kills.faults,
        "ok": not kills.faults,
    }


def run_under_kills(cluster: Cluster, kills: Kills, config: str, out: Path) -> None:
    """Run a study to its end while workers and schedulers are killed; it is resumed when its scheduler was lost."""
    while not kills.faults:
        cluster.keep()
        resume = ["--resume"] if (out / "manifest.json").exists() else []
        process = start_study(config, "--out", str(out), "--cluster", cluster.address, *resume)
        strike_at = kills.pause()
        while process.poll() is None:
            time.sleep(0.2)
            if time.monotonic() > strike_at:
                kills.strike(cluster)
                strike_at = kills.pause()
            cluster.keep()
        errors = process.stderr.read() if process.stderr else ""
        if process.returncode == 0:
            return
        if process.returncode != SCHEDULER_LOST and "no scheduler answers" not in errors:
            kills.faults.append(f"{out.name}: exit code {process.returncode}: {errors[-300:]}")
        kills.resumes += 1


def compare(alone: Path, out: Path, kills: Kills) -> list[str]:
    """The faults of a finished study. Adds its attempts to `kills`."""
    expected, found = read_manifest(alone) or {}, read_manifest(out) or {}
    faults = [] if found["state_sha256"] == expected["state_sha256"] else ["other final states"]
    for name in expected["groups"]:
        left, right = (read_sealed_npz(folder / "metrics" / f"{name}.npz") for folder in (alone, out))
        same = left.keys() == right.keys() and all(left[key].tobytes() == right[key].tobytes() for key in left)
        faults += [] if same else [f"{name}: other metrics"]
    faults += [f"{name}: not computed by workers" for name in expected["groups"] if name not in found["computed"]]
    faults += [fault for parts in found["computed"].values() for part in parts for fault in lost_steps(part)]
    kills.attempts += sum(part["attempts"] for parts in found["computed"].values() for part in parts)
    faults += [
        f"{arm.name}: curves"
        for arm in sorted((alone / "tb").iterdir())
        if curves(arm) != curves(out / "tb" / arm.name)
    ]
    return [f"{out.name}: {fault}" for fault in faults]


def lost_steps(part: Mapping[str, Any]) -> list[str]:
    """A fault where an attempt has begun before the step at which an earlier one had begun: a checkpoint was lost."""
    steps = part["from"]
    return [f"{part['part']}: attempts began at {steps}"] if sorted(steps) != steps else []


def curves(arm: Path) -> dict[str, list[tuple[int, float]]]:
    """The points of every curve in TensorBoard, in the order in which they are read."""
    shown = EventAccumulator(str(arm), size_guidance={"scalars": 0})
    shown.Reload()
    tags = [tag for tag in shown.Tags()["scalars"] if not tag.startswith("results/")]  # of the end: at a later step
    return {tag: [(event.step, event.value) for event in shown.Scalars(tag)] for tag in tags}
