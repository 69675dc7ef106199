"""The names in a study against the tables that define them: cells, initializers, probes, rules, arms."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import chain
from typing import Any

from rnnjax.analysis.rules import RULES
from rnnjax.config.schema import Arm, ConventionComparison, Criterion, FigureSpec, Study
from rnnjax.errors import BadInput
from rnnjax.networks.activations import ACTIVATIONS
from rnnjax.networks.cells import CELLS, OWN_OPAQUE_CELLS, nonlinear_reason
from rnnjax.networks.fused import unfused_reason
from rnnjax.networks.initial_states import INITIAL_STATES
from rnnjax.networks.initializers import INITIALIZERS, SQUARE_ONLY
from rnnjax.probes import PROBES
from rnnjax.settings import HParams, Spec
from rnnjax.settings.checks import check_known
from rnnjax.studies.claim_names import check_pattern
from rnnjax.studies.criteria import (
    REQUIRED_FIELDS,
    RULE_AXES,
    RULE_SCALES,
    check_arms,
    check_limits,
    check_seeds,
    check_tolerance,
)
from rnnjax.tasks import TASKS
from rnnjax.training.optimizers import OPTIMIZERS
from rnnjax.training.schedules import SCHEDULES
from rnnjax.types import OpaqueCell


def setting_tables() -> dict[str, Iterable[str]]:
    """The names that a setting may have, as they are registered now: user code may have added some."""
    return {
        "cell": CELLS,
        "activation": ACTIVATIONS,
        "recurrent_initializer": INITIALIZERS,
        "kernel_initializer": [name for name in INITIALIZERS if name not in SQUARE_ONLY],
        "optimizer": OPTIMIZERS,
        "schedule": SCHEDULES,
        "initial_state": INITIAL_STATES,
    }


FILE_TASKS = ("text", "series", "sequences")  # tasks that read the user's file
NEXT_SYMBOL_TASKS = ("grammar", "text")  # tasks of ids in which every symbol is to be followed by the next one


def check_names(study: Study) -> None:
    """Raises BadInput for a name that no table has; before anything is written."""
    for arm in study.arms:
        for field, table in setting_tables().items():
            check_known(field, getattr(arm.spec, field), table)
        check_known("task.name", arm.spec.task.name, TASKS)
        check_arm(arm)
        if arm.spec.task.path and arm.spec.task.name not in FILE_TASKS:
            raise BadInput(
                f"task.path: got {arm.spec.task.path!r}; the task '{arm.spec.task.name}' reads no file. "
                f"Did you mean task.name = {' or '.join(map(repr, FILE_TASKS))}?"
            )
    if study.file.keep == "best" and not all(arm.spec.validate_every for arm in study.arms):
        raise BadInput("keep: got 'best'; expected 'last' or 'all', or validate_every >= 1, which finds the best")
    for name in study.file.probes:
        check_known("probes", name, PROBES)
    for claim in study.file.claims:
        for criterion in claim.criteria:
            check_criterion(f"claims.{claim.id}", criterion, study)
    file = study.file
    asking = [*[item.arms for item in file.figures], *[item.arms for item in file.questions]]
    asking += [*[item.arms for item in file.tables], *[item.arms for item in file.contradictions]]
    if file.conventions:
        asking += [number.arms for number in file.conventions.numbers]
        check_conventions(file.conventions, study)
    asking += [*[item.arms for item in file.advice], file.initial_statistics.arms if file.initial_statistics else []]
    for pattern in chain(*asking, [file.baseline or "*"]):
        check_pattern("arms", pattern, study)
    axes = {name for arm in study.arms for name in arm.axes}
    for name in chain.from_iterable(shown.shares_of for shown in file.tables):
        check_known("tables.shares_of", name, axes)
    for figure in file.figures:
        check_setting_figure(figure, study)
    check_explorer(study)


def check_arm(arm: Arm) -> None:
    """Raises BadInput for settings of one arm that make no sense together."""
    for field, (is_wrong, value, rule) in contradictions(arm).items():
        if is_wrong:
            raise BadInput(f"{field}: got {value!r}; expected {rule}")


def contradictions(arm: Arm) -> dict[str, tuple[bool, Any, str]]:
    """By field: whether it contradicts other settings of an arm, its value, and what is expected instead."""
    spec, hp = arm.spec, arm.hp
    return (
        embedding_contradictions(spec)
        | cell_contradictions(spec, hp)
        | task_contradictions(spec)
        | optimization_contradictions(spec, hp)
    )


def task_contradictions(spec: Spec) -> dict[str, tuple[bool, Any, str]]:
    """Those of how the task is read: its examples, their order, what is known at a step."""
    task = spec.task
    adding = task.name == "recall" and task.recall != "copy"  # or delayed copies: examples with an end
    own = spec.scheduled_sampling != "teacher"
    swapped = task.name == "series" and task.time_axis == "batch"
    sets = task.name == "sequences"
    alone = "examples have nothing to do with each other"
    return {
        "task.time_axis": (
            swapped and (spec.window != spec.batch or spec.carry == "carried"),
            task.time_axis,
            "'time' unless window = batch and carry = 'reset'",
        ),
        "scheduled_sampling": (
            own and (task.name not in NEXT_SYMBOL_TASKS or spec.dropout or bool(task.document_token)),
            spec.scheduled_sampling,
            "'teacher' unless the task is a text read symbol by symbol, without dropout and document_token",
        ),
        "carry": (
            spec.carry == "carried" and (adding or spec.bidirectional or sets),
            spec.carry,
            "'reset': " + (alone if adding or sets else "one way goes back in time"),
        ),
        "window_order": (
            spec.window_order == "random" and adding,
            "random",
            "'in_order': an example is not to be cut",
        ),
        "bidirectional": (
            spec.bidirectional and task.name != "recall" and not (sets and task.predict != "next"),
            True,
            "false: it would read what it is to predict",
        ),
        "reduction": (
            spec.reduction == "last" and (sets or (adding and task.shortest < 1)),
            "last",
            "'sum' or 'mean': examples end at different steps",
        ),
    }


def optimization_contradictions(spec: Spec, hp: HParams) -> dict[str, tuple[bool, Any, str]]:
    """Those of rates, schedules, clips, dropout and initial biases: numbers that would do nothing, or never be used."""
    looks = spec.schedule == "plateau" or math.isfinite(hp.patience)
    return {
        "warmup_steps": (hp.warmup_steps > spec.steps, hp.warmup_steps, f"number <= {spec.steps} (steps)"),
        "validate_every": (
            looks and not spec.validate_every,
            0,
            "integer >= 1 for schedule 'plateau' or a finite patience",
        ),
        "dropout_rate": (hp.dropout_rate > 0 and not spec.dropout, hp.dropout_rate, "0.0, or dropout = true"),
        "clip_value": (
            math.isfinite(hp.clip_value) and not spec.clip_elementwise,
            hp.clip_value,
            "inf, or clip_elementwise = true",
        ),
        "gate_biases": (
            spec.gate_biases == "chrono" and spec.cell not in ("lstm", "gru"),
            "chrono",
            "'constant' for a cell other than lstm and gru",
        ),
    }


def cell_contradictions(spec: Spec, hp: HParams) -> dict[str, tuple[bool, Any, str]]:
    """Those of a cell that is a module of Flax's, that has no recurrent kernel, or that is not linear in its state."""
    cell = CELLS[spec.cell](replace(spec, inputs=1), hp)
    opaque, own = isinstance(cell, OpaqueCell), spec.cell in OWN_OPAQUE_CELLS
    module = f"'{spec.cell}' is a module of Flax's"
    dropping, norm = (
        [f"'{spec.cell}' has no product of its state with one recurrent kernel outside its gates"] * 2
        if own
        else [f"{module}, which drops nothing", module]
    )
    linear = isinstance(cell, OpaqueCell) and cell.linear is not None
    other = spec.dtype != "float32" and opaque and not own
    fusing = unfused_reason(spec)
    return {
        "dropout": (opaque and spec.dropout, True, f"false: {dropping}"),
        "layer_norm": (opaque and spec.layer_norm, True, f"false: {norm}"),
        "parallel": (spec.parallel and not linear, True, f"false: {nonlinear_reason(spec)}"),
        "recurrence": (spec.recurrence == "fused" and fusing != "", "fused", f"'scan': {fusing}"),
        "dtype": (other, spec.dtype, f"'float32': {module}, which computes in a dtype of its own"),
    }


def embedding_contradictions(spec: Spec) -> dict[str, tuple[bool, Any, str]]:
    """Those of the embedding and the tied readout; whether sequences are of ids is known from their file."""
    task = spec.task
    following = task.name in NEXT_SYMBOL_TASKS or (task.name, task.recall) == ("recall", "copy")
    following |= task.name == "sequences" and task.predict == "next"
    ids = following or task.name == "sequences"
    state = spec.hidden * (1 + spec.bidirectional)
    return {
        "embedding": (spec.embedding > 0 and not ids, spec.embedding, "0: only ids of symbols have an embedding"),
        "tied": (
            spec.tied and (spec.embedding != state or not following),
            True,
            f"false, or next symbols with embedding = {state}, the size of the state",
        ),
    }


def check_criterion(where: str, criterion: Criterion, study: Study) -> None:
    check_known(f"{where}.rule", criterion.rule, RULES)
    for pattern in criterion.patterns():
        check_pattern(where, pattern, study)
    needed = REQUIRED_FIELDS.get(criterion.rule, ())
    for field in needed:
        if not getattr(criterion, field) and getattr(criterion, field) != 0:
            raise BadInput(f"{where}: missing field '{field}', which the rule '{criterion.rule}' needs")
    check_limits(where, criterion)
    check_tolerance(where, criterion)
    check_arms(where, criterion, study.arms)
    check_seeds(where, criterion, study)
    for metric in [] if study.overrides else [criterion.metric, criterion.compared_metric]:
        check_metric_step(where, metric, study)
    for field, count in {"weights": len(criterion.arms), "divided_by": len(criterion.arms)}.items():
        given = len(getattr(criterion, field))
        if given and given != count:
            raise BadInput(f"{where}.{field}: got {given} numbers; expected {count}, one for each pattern of 'arms'")
    axes = {name for arm in study.arms for name in arm.axes}
    for name in [*criterion.axes, *criterion.matched]:
        check_known(f"{where}.axes", name, axes)
    if criterion.rule in RULE_AXES and len(criterion.axes) not in RULE_AXES[criterion.rule]:
        raise BadInput(
            f"{where}.axes: got {len(criterion.axes)} fields; the rule '{criterion.rule}' needs another number"
        )
    if criterion.scale not in RULE_SCALES.get(criterion.rule, ("difference",)):
        raise BadInput(f"{where}.scale: got '{criterion.scale}'; the rule '{criterion.rule}' has no such scale")


def check_metric_step(where: str, metric: str, study: Study) -> None:
    """Raises BadInput for `name@step` or `name@a-b` beyond the end of all training; other ends are the metric's own."""
    moment = metric.partition("@")[2].rpartition("-")[2]
    longest = max(arm.spec.steps for arm in study.arms)
    if moment.isdigit() and int(moment) > longest:
        raise BadInput(f"{where}.metric: got {metric!r}; expected a step of training, at most {longest:,}")


def check_conventions(nearest: ConventionComparison, study: Study) -> None:
    """Raises BadInput where a convention has no arm for a stated number, or several."""
    axes = {name for arm in study.arms for name in arm.axes}
    for name in nearest.by:
        check_known("conventions.by", name, axes)
    every = {tuple(arm.axes[name] for name in nearest.by) for arm in study.arms}
    for number in nearest.numbers:
        chosen = [arm for arm in study.arms if any(fnmatchcase(arm.name, pattern) for pattern in number.arms)]
        counts = Counter(tuple(arm.axes[name] for name in nearest.by) for arm in chosen)
        if counts.keys() != every or max(counts.values()) > 1:
            raise BadInput(
                f"conventions.numbers: {number.metric}: expected one arm of each convention in {number.arms}"
            )


def check_setting_figure(figure: FigureSpec, study: Study) -> None:
    """Raises BadInput where the arms of such a figure are no lines along a number."""
    if figure.form != "setting":
        return
    for name in (figure.along, *figure.lines):
        check_known("figures.along" if name == figure.along else "figures.lines", name, study.arms[0].axes)
    places: dict[tuple[object, ...], str] = {}
    for arm in study.arms:
        if any(fnmatchcase(arm.name, pattern) for pattern in figure.arms):
            value = arm.axes[figure.along]
            if isinstance(value, str | bool) or value <= 0:
                raise BadInput(f"figures.along: got {figure.along!r}, which is {value!r}; expected numbers above 0")
            other = places.setdefault((value, *(arm.axes[name] for name in figure.lines)), arm.name)
            if other != arm.name:
                raise BadInput(f"figures.lines: got {other!r} and {arm.name!r} for one place; expected further fields")


def check_explorer(study: Study) -> None:
    """Raises BadInput where the arms of the explorer are no grid of its fields."""
    explorer = study.file.explorer
    if explorer is None:
        return
    for pattern in explorer.arms:
        check_pattern("explorer.arms", pattern, study)
    sides = [*explorer.choose, explorer.rows]
    for field in sides:
        check_known("explorer", field, study.arms[0].axes)
    if len(set(sides)) < len(sides):
        raise BadInput(f"explorer: got {', '.join(sides)}; expected different fields")
    cells: dict[tuple[object, ...], str] = {}
    for arm in study.arms:
        if any(fnmatchcase(arm.name, pattern) for pattern in explorer.arms):
            other = cells.setdefault(tuple(arm.axes[field] for field in sides), arm.name)
            if other != arm.name:
                raise BadInput(f"explorer.arms: got {other!r} and {arm.name!r} for one cell; expected one arm in each")
