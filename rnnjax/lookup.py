"""The names in a study against the tables that define them: cells, initializers, probes, rules, arms."""

import difflib
import math
from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import chain

from rnnjax.activations import ACTIVATIONS
from rnnjax.cells import CELLS
from rnnjax.claims import RULES
from rnnjax.diagnostics import PROBES
from rnnjax.errors import BadInput
from rnnjax.initializers import INITIALIZERS, SQUARE_ONLY
from rnnjax.optimizers import OPTIMIZERS
from rnnjax.schedules import SCHEDULES
from rnnjax.starts import STARTS
from rnnjax.study import Arm, Reading, Study
from rnnjax.tasks import TASKS
from rnnjax.types import OpaqueCell

TABLES: dict[str, Iterable[str]] = {
    "cell": CELLS,
    "activation": ACTIVATIONS,
    "recurrent_initializer": INITIALIZERS,
    "kernel_initializer": [name for name in INITIALIZERS if name not in SQUARE_ONLY],
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "start": STARTS,
}
READING = ("text", "series")  # tasks that read the user's file
EXPECTING = {"exact", "number", "share"}  # rules that need `expected`
COMPARING = {"difference", "best"}  # rules that need `against`


def check_names(study: Study) -> None:
    """Raises BadInput for a name that no table has; before anything is written."""
    for arm in study.arms:
        for field, table in TABLES.items():
            known(field, getattr(arm.spec, field), table)
        known("task.name", arm.spec.task.name, TASKS)
        check_arm(arm)
        if arm.spec.task.path and arm.spec.task.name not in READING:
            raise BadInput(
                f"task.path: got {arm.spec.task.path!r}; the task '{arm.spec.task.name}' reads no file. "
                f"Did you mean task.name = {' or '.join(map(repr, READING))}?"
            )
    for name in study.file.probes:
        known("probes", name, PROBES)
    for claim in study.file.claims:
        for reading in claim.readings:
            check_reading(f"claims.{claim.id}", reading, study)
    file = study.file
    asking = [*[item.arms for item in file.figures], *[item.arms for item in file.questions]]
    asking += [*[item.arms for item in file.advice], file.draws.arms if file.draws else []]
    for pattern in chain(*asking, [file.baseline or "*"]):
        check_pattern("arms", pattern, study)


def check_arm(arm: Arm) -> None:
    """Raises BadInput for settings of one arm that make no sense together."""
    spec, hp, task = arm.spec, arm.hp, arm.spec.task
    adding = task.name == "recall" and task.recall == "adding"
    looks = spec.schedule == "plateau" or math.isfinite(hp.patience)
    flax = isinstance(CELLS[spec.cell](replace(spec, inputs=1), hp), OpaqueCell)
    wrong = {
        "warmup_steps": (hp.warmup_steps > spec.steps, hp.warmup_steps, f"number <= {spec.steps} (steps)"),
        "check_every": (looks and not spec.check_every, 0, "integer >= 1 for schedule 'plateau' or a finite patience"),
        "dropout_rate": (hp.dropout_rate > 0 and not spec.dropout, hp.dropout_rate, "0.0, or dropout = true"),
        "clip_value": (
            math.isfinite(hp.clip_value) and not spec.clip_elementwise,
            hp.clip_value,
            "inf, or clip_elementwise = true",
        ),
        "dropout": (flax and spec.dropout, True, f"false: '{spec.cell}' is a module of Flax's, which drops nothing"),
        "layer_norm": (flax and spec.layer_norm, True, f"false: '{spec.cell}' is a module of Flax's"),
        "carry": (
            spec.carry == "carried" and (adding or spec.bidirectional),
            spec.carry,
            "'reset': " + ("examples have nothing to do with each other" if adding else "one way goes back in time"),
        ),
        "bidirectional": (
            spec.bidirectional and task.name != "recall",
            True,
            "false: it would read what it is to predict",
        ),
        "reduction": (
            spec.reduction == "last" and adding and task.shortest < 1,
            "last",
            "'sum' or 'mean': examples end at different steps",
        ),
    }
    for field, (breaks, value, rule) in wrong.items():
        if breaks:
            raise BadInput(f"{field}: got {value!r}; expected {rule}")


def known(field: str, value: str, table: Iterable[str]) -> None:
    names = list(table)
    if value not in names:
        close = difflib.get_close_matches(value, names, 1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        raise BadInput(f"{field}: got {value!r}; expected one of: {', '.join(names)}.{hint}")


def check_reading(where: str, reading: Reading, study: Study) -> None:
    known(f"{where}.rule", reading.rule, RULES)
    for pattern in [*reading.arms, *reading.against]:
        check_pattern(where, pattern, study)
    if reading.rule in EXPECTING and reading.expected is None:
        raise BadInput(f"{where}: missing field 'expected', which the rule '{reading.rule}' needs")
    if reading.rule in COMPARING and not reading.against:
        raise BadInput(f"{where}: missing field 'against', which the rule '{reading.rule}' needs")
    if reading.rule == "explained" and not reading.explained_by:
        raise BadInput(f"{where}: missing field 'explained_by', which the rule 'explained' needs")


def check_pattern(where: str, pattern: str, study: Study) -> None:
    if not any(fnmatchcase(arm.name, pattern) for arm in study.arms):
        raise BadInput(
            f"{where}: got {pattern!r}; expected one of the arms: {', '.join(arm.name for arm in study.arms)}"
        )
