"""Adding steps, seeds and arms to a run folder: which runs are there, how far, and what each group still needs.

Every refusal is made here, before anything is changed. What is there is never trained again: see `parts`.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnnjax.config.schema import Study
from rnnjax.config.study_json import parse_settings
from rnnjax.errors import FolderRefused
from rnnjax.settings import HParams, Spec
from rnnjax.storage.checkpoints import Checkpoints
from rnnjax.storage.run_folder import Extension
from rnnjax.studies.datasets import data_hash
from rnnjax.studies.parts import Part, Stretch, groups_of_study, named_runs, part_to_json, stored_parts
from rnnjax.studies.plan import continued_probes, requested_probes
from rnnjax.types import Task


class PartProgress(NamedTuple):
    """A part that is there, and the newest checkpoint of it that verifies."""

    part: Part
    step: int  # -1: none yet
    leaves: Mapping[str, np.ndarray]


def extension_of(study: Study, tasks: Mapping[Any, Task], folder: Path) -> Extension:
    """How a study adds to the run folder."""

    def hash_data(arms: list[str]) -> str:
        specs = {arm.name: arm.spec.task for arm in study.arms}
        return data_hash({specs[name]: tasks[specs[name]] for name in arms if name in specs})

    return Extension(hash_data, lambda manifest: plan_extension(study, folder, manifest))


def plan_extension(study: Study, folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The fields `parts` and `groups` of the manifest with all that the study adds; writes nothing.

    Raises:
        FolderRefused: steps are added to runs whose end depends on how many there are. DamagedState.
    """
    there = [part for parts in stored_parts(manifest).values() for part in parts]
    known = manifest["config"]["arms"]
    used = {part.folder for part in there}
    parts: dict[str, list[dict[str, Any]]] = {}
    for name, group in groups_of_study(study).items():
        runs = named_runs(study, group)
        progress = [read_part(folder, part, study, known) for part in there if part.runs.keys() & runs.keys()]
        spec = group[0].spec.program
        for one in progress:
            check_same_group(folder, one.part, set(runs))
            if one.step < 0 and manifest.get("state") == "done":
                raise FolderRefused(
                    f"{folder}: the checkpoints of {name} are gone, and nothing can be added to its runs"
                )
            check_can_go_on(folder, one, spec, study)
        members = continued_parts(study, spec, progress, missing_runs(runs, [one.part for one in progress]))
        members = [part._replace(folder=part.folder or free_name(name, used)) for part in members]
        used |= {part.folder for part in members}
        parts[name] = [part_to_json(part) for part in members]
    return {"parts": parts, "groups": carried_groups(manifest, study)}


def read_part(folder: Path, part: Part, study: Study, known: Mapping[str, Any]) -> PartProgress:
    """A part with its newest good checkpoint. Raises DamagedState."""
    if not part.stretches:
        spec = parse_settings(known[next(iter(part.runs))])[0]
        part = part._replace(stretches=[Stretch(-1, spec.steps, requested_probes(study, spec))])
    with Checkpoints(folder / "checkpoints" / part.folder) as checkpoints:
        found = checkpoints.read()
    return PartProgress(part, *(found or (-1, {})))


def check_same_group(folder: Path, part: Part, arms: set[str]) -> None:
    """Raises FolderRefused where the arms of a part would need different programs."""
    apart = sorted(set(part.runs) - arms)
    if apart:
        raise FolderRefused(f"{folder}: arm {apart[0]} was trained together with arms whose steps are to be others now")


def check_can_go_on(folder: Path, progress: PartProgress, spec: Spec, study: Study) -> None:
    """Raises FolderRefused for more steps after an end of training that a longer training would not have had."""
    ended = progress.part.at(progress.step).steps if progress.step >= 0 else 0
    if progress.step < 0 or progress.step < ended or spec.steps == ended:
        return
    every = -(-spec.validate_every // spec.log_every) * spec.log_every
    reasons = {
        f"its last row of the log is shorter than log_every = {spec.log_every}": ended % spec.log_every,
        f"its last validation check is out of turn (validate_every = {spec.validate_every})": every and ended % every,
        "with a finite patience the end of training takes the best parameters": took_best(progress, study),
    }
    for reason, applies in reasons.items():
        if applies:
            raise FolderRefused(
                f"{folder}: cannot add steps after step {ended:,}: {reason}, so a longer training would differ before "
                f"that step; train {spec.steps:,} steps into another folder"
            )


def took_best(progress: PartProgress, study: Study) -> bool:
    """Whether a run has taken its best parameters because training ended, not because its patience did."""
    hp: dict[str, HParams] = {arm.name: arm.hp for arm in study.arms}
    patient = [math.isfinite(hp[arm].patience) for arm, seeds in progress.part.runs.items() for _ in seeds]
    stopped_at = progress.leaves.get("state/early_stopping/stopped_at")
    return stopped_at is not None and bool(
        (np.array(patient) & (stopped_at < 0) & progress.leaves["state/alive"]).any()
    )


def missing_runs(runs: Mapping[str, list[int]], parts: list[Part]) -> dict[str, list[int]]:
    """The runs that no part has."""
    there = {(arm, seed) for part in parts for arm, seeds in part.runs.items() for seed in seeds}
    missing = {arm: [seed for seed in seeds if (arm, seed) not in there] for arm, seeds in runs.items()}
    return {arm: seeds for arm, seeds in missing.items() if seeds}


def continued_parts(study: Study, spec: Spec, progress: list[PartProgress], new: dict[str, list[int]]) -> list[Part]:
    """The parts of a group with what is planned for them now; a new one, without a folder yet, for the new runs."""
    before = [(one.step, one.part.at(one.step).probes if one.step >= 0 else {}) for one in progress]
    probes = continued_probes(requested_probes(study, spec), before)
    parts = [
        one.part._replace(stretches=[*stretches_until(one), Stretch(one.step, spec.steps, probes)]) for one in progress
    ]
    return parts + ([Part("", new, [Stretch(-1, spec.steps, probes)])] if new else [])


def stretches_until(progress: PartProgress) -> list[Stretch]:
    """The stretches planned for the checkpoints that are there."""
    return [one for one in progress.part.stretches if one.after < progress.step]


def free_name(group: str, used: set[str]) -> str:
    """A name for the folder of a new part: that of its group, or with the first number that is free."""
    return next(name for name in (group, *(f"{group}-{n}" for n in range(1, 10_000))) if name not in used)


def carried_groups(manifest: Mapping[str, Any], study: Study) -> dict[str, Any]:
    """The entries of the groups that are there under their present names, so that readers find them meanwhile."""
    old = list(manifest.get("groups", {}).values())
    found = {}
    for name, group in groups_of_study(study).items():
        arms = list(named_runs(study, group))
        entry = next((one for one in old if set(one["arms"]) & set(arms)), None)
        if entry is not None:
            found[name] = entry | {"arms": [arm for arm in arms if arm in entry["arms"]]}
    return found
