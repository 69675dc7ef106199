"""Which parts the groups of a study are given out in.

A part that has a checkpoint, or that was planned before, stays as it is. Any other group is divided into whole rounds
of blocks, with no more padding than in the group as a whole; the bits of a run do not depend on its company.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rnnjax.config.schema import Study
from rnnjax.studies.parts import Part, group_parts, named_runs
from rnnjax.studies.train_groups import work
from rnnjax.training.parallel import Run, block_width


def plan_parts(
    folder: Path, manifest: Mapping[str, Any], study: Study, groups: Mapping[str, list[Run]], workers: int, devices: int
) -> dict[str, list[Part]]:
    """The parts of every group. Args: devices: of each worker. Raises DamagedState."""
    shares = shares_of_workers({name: work(group) for name, group in groups.items()}, workers)
    parts = {}
    for name, group in groups.items():
        known = group_parts(manifest, study, name, group)
        begun = name in manifest.get("parts", {}) or (folder / "checkpoints" / name).exists()
        size = block_width(group[0].spec.program) * devices
        parts[name] = known if begun else split_part(study, name, group, size, shares[name], known[0])
    return parts


def shares_of_workers(work_of: Mapping[str, float], workers: int) -> dict[str, int]:
    """In how many parts each group is divided at most: as many as the workers that its share of the work needs."""
    total = sum(work_of.values())
    return {name: max(1, math.ceil(workers * one / total - 1e-9)) for name, one in work_of.items()}


def split_part(study: Study, name: str, group: Sequence[Run], size: int, share: int, whole: Part) -> list[Part]:
    """A group in up to `share` parts of whole rounds. Args: size: runs in a round. whole: the group as one part."""
    ends = round_ends(len(group), size, share)
    if len(ends) == 1:
        return [whole]
    starts = [0, *ends[:-1]]
    return [
        whole._replace(folder=name if n == 0 else f"{name}-{n}", runs=named_runs(study, group[start:end]))
        for n, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]


def round_ends(runs: int, size: int, parts: int) -> list[int]:
    """The ends of up to `parts` stretches of `runs` runs, all of whole rounds of `size` but for the last, as alike as
    they can be."""
    rounds = math.ceil(runs / size)
    parts = min(parts, rounds)
    return [min(runs, size * (rounds * (n + 1) // parts)) for n in range(parts)]
