"""Healthy networks trained by rnnjax: every cell and optimizer, and settings that training curves depend on."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from benchmarks.doctor.healthy.groups import HealthyGroup
from benchmarks.doctor.planted_faults import GOOD, SERIES, SMALL, TEXT, Case, change_settings, examine_each
from rnnjax.settings import TaskSpec

RECALL = TaskSpec(name="recall", characters=6_000, copy_delay=3, symbols=4)
TASKS: dict[str, tuple[TaskSpec, dict[str, Any]]] = {
    "grammar": (TEXT, {"steps": 800}),
    "text": (TaskSpec(name="text"), {"steps": 1200, "validate_every": 40, "patience": 4.0}),
    "series": (SERIES, {"steps": 800}),
    "recall": (RECALL, {"steps": 1200}),
}
RATES = {  # of optimizers without a rate of their own for each parameter
    "sgd": 0.2, "momentum": 0.02, "nesterov": 0.02, "adagrad": 0.05,
}  # fmt: skip
OPTIMIZERS = ("sgd", "momentum", "nesterov", "rmsprop", "adagrad", "adamw")
EARLY = {"validate_every": 20, "patience": 3.0}
DATA: dict[str, tuple[TaskSpec, dict[str, Any]]] = {
    "autoregression_stopped_early": (replace(SERIES, series="ar"), {"steps": 800, **EARLY}),
    "noise_stopped_early": (replace(SERIES, series="noise"), {"steps": 800, **EARLY}),
    "mackey_glass": (replace(SERIES, series="mackey_glass"), {"steps": 800}),
    "sunspots_stopped_early": (TaskSpec(name="series", series="sunspots"), {"steps": 400, **EARLY}),
    "two_symbols": (replace(RECALL, symbols=2), {"steps": 800}),
    "seven_symbols": (replace(RECALL, symbols=7, copy_delay=2), {"steps": 1200}),
    "repeated_data": (replace(SERIES, redundancy=4), {"steps": 600}),
}
VARIANTS: dict[str, dict[str, Any]] = {
    "layer_norm": {"layer_norm": True},
    "two_layers": {"layers": 2},
    "dropout": {"cell": "gru", "dropout": True, "dropout_rate": 0.1},
    "state_carried_over": {"carry": "carried"},
    "sum_of_losses": {"reduction": "sum", "learning_rate": 0.003},
    "learned_start": {"initial_state": "learned"},
    "random_start": {"initial_state": "random", "initial_state_scale": 0.1},
    "one_stream": {"batch": 1, "carry": "carried", "learning_rate": 0.002, "steps": 3000},
    "long_window": {"window": 48},
    "cosine_schedule": {"schedule": "cosine", "decay_steps": 800.0, "decay_factor": 0.05},
    "warm_up": {"warmup_steps": 100.0},
    "random_windows": {"window_order": "random"},
    "no_clipping": {"clip_norm": float("inf")},
    "relu": {"activation": "relu", "recurrent_initializer": "identity"},
}
NOT_HEALTHY = {("layer_norm", "series"), ("relu", "series")}  # no better than the last value; forecasts that grow


def healthy_case(task: TaskSpec, settings: dict[str, Any], **changes: Any) -> Case:
    """A network trained well, with some settings changed."""
    return Case("", change_settings(replace(SMALL, task=task), settings | changes))


def group(kind: str, name: str, case: Case) -> HealthyGroup:
    return HealthyGroup(kind, name, partial(examine_each, case))


FLAX_CELLS = ("flax_simple", "flax_gru", "flax_mgu", "flax_lstm", "flax_optimized_lstm")
MEASURED_CELLS = ("elman", "leaky", "minimal", "gru", "lstm", *FLAX_CELLS)
OTHER_CELLS: dict[str, dict[str, Any]] = {  # on two tasks; without antisymmetric, which learns neither in so few steps
    **{name: {} for name in ("gru_before", "indrnn", "exprnn", "min_gru", "min_lstm", "lru", "s4d", "slstm")},
    "cornn": {"step_size": 1.0},
}


def cases() -> Iterator[tuple[str, str, Case]]:
    """All kinds, names and cases."""
    for task, (spec, settings) in TASKS.items():
        for cell in MEASURED_CELLS:
            yield "cell", f"{cell} on {task}", healthy_case(spec, settings, cell=cell)
    for task in ("grammar", "series"):
        spec, settings = TASKS[task]
        for cell, changes in OTHER_CELLS.items():
            yield "cell", f"{cell} on {task}", healthy_case(spec, settings, cell=cell, **changes)
        for optimizer in OPTIMIZERS:
            rate = RATES.get(optimizer, GOOD.learning_rate)
            changes = {"optimizer": optimizer, "learning_rate": rate, "steps": 1600}
            yield "optimizer", f"{optimizer} on {task}", healthy_case(spec, settings, **changes)
        for name, changes in VARIANTS.items():
            if (name, task) in NOT_HEALTHY:
                continue
            yield "setting", f"{name} on {task}", healthy_case(spec, settings, **changes)
    for name, (spec, settings) in DATA.items():
        yield "data", name, healthy_case(spec, settings, cell="gru")


CASES: dict[tuple[str, str], Case] = {(kind, name): case for kind, name, case in cases()}
GROUPS = tuple(group(kind, name, case) for (kind, name), case in CASES.items())
