"""Train the same networks on several releases of Python and JAX in turns: state hashes and the time of a step.

Each PYTHON is the interpreter of an environment in which rnnjax's dependencies are installed; the first is the
reference. The checkout itself is imported from here. All environments stay loaded and take turns within a round, so a
slow moment of the machine hits all of them.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.releases import tables
from benchmarks.releases.settings import QUICK_SETTINGS, SETTINGS, Setting
from rnnjax import devices
from rnnjax.cli.common import build_parser
from rnnjax.cli.speed.processes import Worker, open_worker
from rnnjax.cli.speed.tables import cpu_name
from rnnjax.errors import BadInput

ROOT = Path(__file__).parents[3]
SHORTEST = 0.3  # seconds of the reference's own time that one timing should take
FEWEST, MOST = 10, 2000  # steps of one timing


def open_environment(python: Path, flags: str = "") -> AbstractContextManager[Worker]:
    """A worker in another environment; its greeting are the versions there."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "scripts")])
    variables = os.environ | {"PYTHONPATH": path, devices.CACHE: "", "XLA_FLAGS": flags}
    return open_worker(str(python), [str(python), "-m", "benchmarks.releases.worker"], variables)


def compare_setting(environments: Sequence[Worker], setting: Setting, rounds: int) -> dict[str, Any]:
    """Hashes, losses and times of one setting in all environments."""
    states = [environment.ask(setting=setting) for environment in environments]
    per_step = environments[0].ask(steps=FEWEST)["processor"] / FEWEST
    steps = min(max(FEWEST, int(SHORTEST / max(per_step, 1e-6))), MOST)
    turns = [[environment.ask(steps=steps) for environment in environments] for _ in range(rounds)]
    found = [
        state | time_figures([turn[i] for turn in turns], [turn[0] for turn in turns], steps * setting.runs)
        for i, state in enumerate(states)
    ]
    return {"setting": setting._asdict(), "releases": [figures | differences(figures, found[0]) for figures in found]}


def time_figures(
    turns: Sequence[dict[str, float]], reference: Sequence[dict[str, float]], steps: int
) -> dict[str, Any]:
    """Microseconds per step of one run, processor time of all cores and the clock's, and the ratio to the reference.

    The ratio is the median over rounds of processor times: other programs on the machine hardly change it.
    """
    clock = np.array([turn["wall"] for turn in turns]) / steps * 1e6
    processor = np.array([turn["processor"] for turn in turns]) / steps * 1e6
    ratios = processor / (np.array([turn["processor"] for turn in reference]) / steps * 1e6)
    return {
        "clock_microseconds": float(np.median(clock)),
        "processor_microseconds": float(np.median(processor)),
        "fastest_processor_microseconds": float(processor.min()),
        "time_ratio": float(np.median(ratios)),
        "time_ratio_range": [float(ratios.min()), float(ratios.max())],
    }


def differences(figures: dict[str, Any], reference: dict[str, Any]) -> dict[str, Any]:
    """Which of the hashes are those of the reference, and the largest difference of a run's mean loss."""
    pairs = zip(figures["losses"], reference["losses"], strict=True)
    return {
        "equal": {step: digest == reference["digests"][step] for step, digest in figures["digests"].items()},
        "largest_loss_difference": max(abs(one - other) for one, other in pairs),
    }


def build_options() -> argparse.ArgumentParser:
    parser = build_parser(__doc__)
    parser.add_argument("pythons", nargs="+", type=Path, metavar="PYTHON", help="the first is the reference")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, and the table as FILE.md")
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="timings of each; the median counts")
    parser.add_argument("--quick", action="store_true", help="tiny networks, to see that it works")
    parser.add_argument("--xla-flags", default="", metavar="FLAGS", help="run the last PYTHON once more with these")
    return parser


def check(asked: argparse.Namespace) -> None:
    """Raises BadInput for what would only fail after the timing."""
    for python in asked.pythons:
        if not os.access(python, os.X_OK) or python.is_dir():
            raise BadInput(f"PYTHON: got {str(python)!r}; expected the interpreter of an environment")
    if asked.rounds < 1:
        raise BadInput(f"--rounds: got {asked.rounds}; expected at least 1")
    if asked.json and (asked.json.suffix == ".md" or asked.json.is_dir() or not asked.json.parent.is_dir()):
        raise BadInput(f"--json: got {asked.json}; expected a file, not .md, in a folder that is there")


def main() -> None:
    asked = build_options().parse_args()
    check(asked)
    flags = [""] * len(asked.pythons) + [asked.xla_flags] * bool(asked.xla_flags)
    pythons = [*asked.pythons, *asked.pythons[-1:]][: len(flags)]
    found = measure(list(zip(pythons, flags, strict=True)), QUICK_SETTINGS if asked.quick else SETTINGS, asked.rounds)
    print(tables.markdown(found))
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n")
        asked.json.with_suffix(".md").write_text(tables.markdown(found))


def measure(asked: Sequence[tuple[Path, str]], settings: Sequence[Setting], rounds: int) -> dict[str, Any]:
    """All settings in all environments."""
    with ExitStack() as stack:
        environments = [stack.enter_context(open_environment(python, flags)) for python, flags in asked]
        compared = []
        for setting in settings:
            print(setting.title, file=sys.stderr)
            compared.append(compare_setting(environments, setting, rounds))
    releases = [worker.greeting | {"xla_flags": flags} for worker, (_, flags) in zip(environments, asked, strict=True)]
    about = {"cpu": cpu_name(), "cores": devices.cpu_count(), "load_average": os.getloadavg()[1], "rounds": rounds}
    return about | {"releases": releases, "settings": compared}
