"""The parts of a group: runs that were asked for together and have their checkpoints in one folder.

A group has one part, unless seeds or arms were added to it later: runs do not depend on each other, so each part is
trained on its own, and what it ends with is what it would have ended with beside the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from rnnjax.config.schema import Study
from rnnjax.config.study_json import parse_settings
from rnnjax.errors import DamagedState
from rnnjax.settings import Spec
from rnnjax.storage.config_changes import seeds_of
from rnnjax.studies.plan import Plan, ProbeSteps, build_plan, requested_probes
from rnnjax.training.parallel import Run, group_by_program

Runs = dict[str, list[int]]  # arm -> its seeds, in the order of the rows of a checkpoint


class Stretch(NamedTuple):
    """The plan of a part from some step on: added steps change the shapes of the recorded arrays."""

    after: int  # for the checkpoints of later steps; -1 = from the start
    steps: int  # optimizer steps, at the end
    probes: ProbeSteps


class Part(NamedTuple):
    """The runs of a part, the folder of its checkpoints, and its plans, the last one in force."""

    folder: str  # below checkpoints/
    runs: Runs
    stretches: list[Stretch]

    def at(self, step: int) -> Stretch:
        """The stretch in force when the checkpoint of a step was saved."""
        return next(one for one in reversed(self.stretches) if one.after < step)

    def rows(self, arm: str) -> dict[int, int]:
        """Seed -> row of the part's arrays, of one arm."""
        first = sum(len(seeds) for seeds in list(self.runs.values())[: list(self.runs).index(arm)])
        return {seed: first + row for row, seed in enumerate(self.runs[arm])}


def runs_of_study(study: Study) -> list[Run]:
    """Every arm with every seed."""
    return [
        Run(index, arm.spec, arm.hp._replace(seed=seed))
        for index, arm in enumerate(study.arms)
        for seed in arm.seeds(study.seeds)
    ]


def named_runs(study: Study, runs: Sequence[Run]) -> Runs:
    """The seeds of each arm among some runs."""
    found: Runs = {}
    for run in runs:
        found.setdefault(study.arms[run.arm].name, []).append(run.hp.seed)
    return found


def first_part(study: Study, name: str, group: Sequence[Run]) -> Part:
    """The only part of a group to which nothing was added."""
    spec = group[0].spec.program
    return Part(name, named_runs(study, group), [Stretch(-1, spec.steps, requested_probes(study, spec))])


def group_parts(manifest: Mapping[str, Any], study: Study, name: str, group: Sequence[Run]) -> list[Part]:
    """The parts of a group of a study that is being trained. Raises DamagedState."""
    stored = manifest.get("parts", {}).get(name)
    return [parse_part(one) for one in stored] if stored else [first_part(study, name, group)]


def runs_of_part(study: Study, group: Sequence[Run], part: Part) -> list[Run]:
    """The runs of a part, in the order of its rows."""
    by_name = {(study.arms[run.arm].name, run.hp.seed): run for run in group}
    return [by_name[arm, seed] for arm, seeds in part.runs.items() for seed in seeds]


def part_plans(study: Study, spec: Spec, part: Part) -> list[tuple[int, Plan]]:
    """(step after which it is in force, plan) of each stretch of a part."""
    return [(one.after, build_plan(study, replace(spec, steps=one.steps), one.probes)) for one in part.stretches]


def stored_parts(manifest: Mapping[str, Any]) -> dict[str, list[Part]]:
    """The parts of every group of a run folder, by name; of groups without additions from its settings."""
    if "parts" in manifest:
        return {name: [parse_part(one) for one in parts] for name, parts in manifest["parts"].items()}
    config = manifest["config"]
    programs: dict[Spec, Runs] = {}
    for arm, settings in config["arms"].items():
        programs.setdefault(parse_settings(settings)[0].program, {})[arm] = seeds_of(config, arm)
    return {f"group-{n}": [Part(f"group-{n}", runs, [])] for n, runs in enumerate(programs.values())}


def parse_part(tree: Mapping[str, Any]) -> Part:
    """A part from its entry in the manifest. Raises DamagedState."""
    try:
        return Part(tree["folder"], dict(tree["runs"]), [Stretch(**one) for one in tree["stretches"]])
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedState(f"manifest.json: parts cannot be read ({error})") from error


def part_to_json(part: Part) -> dict[str, Any]:
    """`parse_part` undone."""
    return {**part._asdict(), "stretches": [stretch._asdict() for stretch in part.stretches]}


def groups_of_study(study: Study) -> dict[str, list[Run]]:
    """The groups of a study by name."""
    return {f"group-{number}": group for number, group in enumerate(group_by_program(runs_of_study(study)))}
