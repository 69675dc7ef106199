"""Seconds of a study alone, with one worker on one core and with two; and what a group costs beyond its work."""

import os
from pathlib import Path
from typing import Any

from benchmarks.cluster.processes import Cluster, run_study
from rnnjax.storage.manifest import read_manifest

STUDY = """
question = "How fast is it?"
seeds = 8
[base]
hidden = {hidden}
window = 25
steps = {steps}
log_every = 50
block = 4
task.characters = 5_000
[[axes]]
{axes}
"""
GRID = 'activation = ["tanh", "relu"]\nlearning_rate = [0.003, 0.01]'  # two groups of 16 runs
TINY = "window = [{windows}]"  # a group for each window
SMALL = {"hidden": 4, "steps": 100}
GROUPS = (2, 6)


def measure_speed(folder: Path, steps: int, hidden: int) -> dict[str, Any]:
    """A grid of two groups, 8 seeds: one process with two devices; one worker on one core; two workers on two cores.

    On a machine that has other work only CPU seconds can be compared: `speedup_cpu` is the CPU time of the one worker
    over that of the busier of the two, what the clock would show on a machine with nothing else to do.
    """
    folder.mkdir(parents=True)
    (folder / "grid.toml").write_text(STUDY.format(hidden=hidden, steps=steps, axes=GRID))
    config = str(folder / "grid.toml")
    run_study(config, "--out", str(folder / "warm"), "--set", "steps=50")  # so that all find their programs compiled
    cores = sorted(os.sched_getaffinity(0))[:2] if hasattr(os, "sched_getaffinity") else []
    alone = run_study(config, "--out", str(folder / "alone"))
    figures: dict[str, Any] = {"one_process": alone | {"train_seconds": phases(folder / "alone")}}
    for name, pinned in (("one_worker", cores[:1]), ("two_workers", cores)):
        with Cluster(folder / f"{name}-logs", [[core] for core in pinned]) as cluster:
            asked = run_study(config, "--out", str(folder / name), "--cluster", cluster.address)
        figures[name] = asked | summary(folder / name) | {"worker_cpu_seconds": [*map(rounded, cluster.used.values())]}
    one, two = (figures[name]["worker_cpu_seconds"] for name in ("one_worker", "two_workers"))
    clock = [figures[name]["wall_seconds"] for name in ("one_process", "one_worker", "two_workers")]
    hashes = [read_manifest(folder / name)["state_sha256"] for name in ("alone", "one_worker", "two_workers")]  # type: ignore[index]
    return figures | {
        "speedup_cpu": rounded(max(one) / max(two)),
        "speedup_clock": rounded(clock[1] / clock[2]),
        "two_workers_over_one_process_clock": rounded(clock[2] / clock[0]),
        "hashes_equal": hashes[0] == hashes[1] == hashes[2],
        "ok": hashes[0] == hashes[1] == hashes[2],
    }


def phases(folder: Path) -> float:
    """Seconds of training by the clock."""
    return rounded((read_manifest(folder) or {})["seconds"]["train"])


def summary(folder: Path) -> dict[str, Any]:
    """What the parts of a finished study have taken by the clock."""
    parts = [part for some in (read_manifest(folder) or {})["computed"].values() for part in some]
    return {
        "parts": len(parts),
        "part_wall_seconds": [rounded(part["wall_seconds"]) for part in parts],
        "part_train_seconds": [rounded(part["seconds"]["train"]) for part in parts],
    }


def measure_overhead(folder: Path) -> dict[str, Any]:
    """CPU seconds that each further group costs with `--cluster local:1` beyond what it costs without.

    From studies of few and of many groups that differ in their window only: their difference has no part of what is
    done once, such as starting a worker. Programs are compiled before.
    """
    folder.mkdir(parents=True)
    figures: dict[str, Any] = {}
    cost: dict[str, list[float]] = {"alone": [], "cluster": []}
    for groups in GROUPS:
        config = folder / f"groups-{groups}.toml"
        windows = ", ".join(str(3 + n) for n in range(groups))
        config.write_text(STUDY.format(axes=TINY.format(windows=windows), **SMALL).replace("window = 25\n", ""))
        run_study(str(config), "--out", str(folder / f"warm-{groups}"))
        for name, options in (("alone", []), ("cluster", ["--cluster", "local:1"])):
            taken = run_study(str(config), "--out", str(folder / f"{name}-{groups}"), *options)
            cost[name].append(taken["cpu_seconds"])
            figures[f"{name}_{groups}_groups"] = taken
    each = {name: (many - few) / (GROUPS[1] - GROUPS[0]) for name, (few, many) in cost.items()}
    overhead = rounded(each["cluster"] - each["alone"])
    return figures | {
        "cpu_seconds_per_group_alone": rounded(each["alone"]),
        "cpu_seconds_per_group_cluster": rounded(each["cluster"]),
        "overhead_cpu_seconds_per_group": overhead,
        "limit": 2.0,
        "ok": overhead <= 2.0,
    }


def rounded(seconds: float) -> float:
    return round(seconds, 2)
