"""When a group is probed, saved and validated. Pure arithmetic on optimizer steps."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnnjax.config.schema import Study
from rnnjax.settings import Spec

ProbeSteps = dict[str, list[int]]  # probe -> the steps at which it is taken


class Plan(NamedTuple):
    """The steps at which a group is probed, saved and validated."""

    row_steps: np.ndarray  # [S] optimizer steps done at the end of each row
    probes: ProbeSteps
    probe_steps: list[int]  # [Q] of all probes together
    saves: list[int]
    checks: list[int]  # of early stopping, on the held-out loss

    def stops(self) -> list[int]:
        """The ends of chunks that cannot be elsewhere."""
        return sorted({*self.probe_steps, *self.saves, *self.checks})


def build_plan(study: Study, spec: Spec, probes: ProbeSteps | None = None) -> Plan:
    """The plan of a program in a study. Args: probes: their steps where they do not follow from the study alone."""
    probes = requested_probes(study, spec) if probes is None else probes
    ends = np.arange(spec.log_every, spec.steps + spec.log_every, spec.log_every)
    steps = sorted({0, spec.steps}.union(*probes.values()))
    saves = regular_points(study.file.save_every or -(-spec.steps // 10), spec.steps, spec.log_every)
    checks = regular_points(spec.validate_every, spec.steps, spec.log_every) if spec.validate_every else []
    return Plan(np.minimum(ends, spec.steps), probes, steps, saves, checks)


def requested_probes(study: Study, spec: Spec) -> ProbeSteps:
    """The steps of each probe as the study asks for them."""
    return {name: probe_points(count, spec.steps, spec.log_every) for name, count in study.file.probes.items()}


def continued_probes(requested: ProbeSteps, parts: Sequence[tuple[int, ProbeSteps]]) -> ProbeSteps:
    """The steps of probes where runs that were trained before go on.

    What is requested, if every earlier point of it was measured. Else (log-spaced points depend on the length of
    training) what every part has measured or will still reach, of what is requested or was measured.

    Args: parts: for each the step that it has reached, -1 for none, and the steps of probes that were planned for it.
    """
    measured = [(step, {name: [q for q in at if q <= step] for name, at in planned.items()}) for step, planned in parts]

    def has(name: str, q: int) -> bool:
        return all(q > step or q in at.get(name, []) for step, at in measured)

    def points(name: str, wanted: list[int]) -> list[int]:
        earlier = {q for _, at in measured for q in at.get(name, [])}
        candidates = set(wanted) if all(has(name, q) for q in wanted) else {*wanted, *earlier}
        return sorted(q for q in candidates if has(name, q))

    return {name: points(name, wanted) for name, wanted in requested.items()}


def probe_points(asked: int | list[int], steps: int, log_every: int) -> list[int]:
    """At most so many points of training: the end, if 2 or more step 0, and log-spaced whole rows of the record.

    Where a list of steps is asked for: these, rounded up to whole rows, and no later than the end.
    """
    if isinstance(asked, list):
        return round_to_rows(asked, steps, log_every)
    if asked == 1:
        return [steps]
    spaced = np.geomspace(min(log_every, steps), steps, asked - 1)[:-1]
    rows = np.unique(np.round(spaced / log_every).astype(int))
    inner = {int(row) * log_every for row in rows if 0 < row * log_every < steps}
    return sorted({0, steps} | inner)


def round_to_rows(asked: list[int], steps: int, log_every: int) -> list[int]:
    """The ends of the rows in which these steps lie."""
    return sorted({min(-(-step // log_every) * log_every, steps) for step in asked})


def regular_points(every: int, steps: int, log_every: int) -> list[int]:
    """Every so many steps, rounded up to whole rows of the record, and the end."""
    every = -(-every // log_every) * log_every
    return sorted({*range(every, steps, every), steps})


def next_stop(step: int, stops: list[int], longest: int) -> int:
    """The end of the next chunk: the next stop, or `longest` steps on if that comes first."""
    return min(min(stop for stop in stops if stop > step), step + longest)
