"""Metrics by name: definition, unit, which way is better, source. Loads no JAX, so that reports need no backend.

Whoever measures a number describes it here: probes in `Probe.metrics`, the record of training and what follows from it
in `studies.metrics`. Nothing guesses a unit or a kind from the spelling of a name.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from rnnjax.settings import LOSS_UNITS

# What a unit may name in braces, by the loss of the task: "{loss}", "{window_loss}", "{symbols}".
UNITS_OF_LOSS = {
    "cross_entropy": {
        "loss": LOSS_UNITS["cross_entropy"],
        "window_loss": "nats per window",
        "symbols": "characters",
    },
    "squared_error": {
        "loss": LOSS_UNITS["squared_error"],
        "window_loss": f"{LOSS_UNITS['squared_error']} per window",
        "symbols": "time steps",
    },
}


ACCURACY, CLASS_RECALL = "held_out_accuracy", "class_recall"  # of a probe; the second with the class in brackets
SHARE, CORRELATION = (0.0, 1.0), (-1.0, 1.0)  # ranges of metrics


# Groups of the labels of a portrait: the points that are no states of a trajectory
POINT_KINDS = STABLE, UNSTABLE, SLOW_POINT = "stable fixed point", "unstable fixed point", "slow point"


class Metric(NamedTuple):
    """The description of one measured quantity.

    Attributes:
        definition: one sentence or an equation. unit: "" = dimensionless; may name "{loss}", "{window_loss}" and
            "{symbols}", which depend on the task. better: "" where neither way is better.
        kind: scalar [R], lag [R, L], text (ids [R, N] of one text), map (points [R, P, 2] of a plane).
        source: where the definition comes from; "" = this project.
        range: the smallest and the largest possible value, where the definition limits them.
        looked_up: the value stands in documentation or literature and is not measured; `source` says where.
    """

    definition: str
    unit: str = ""
    better: Literal["lower", "higher", ""] = ""
    kind: Literal["scalar", "lag", "text", "map"] = "scalar"
    source: str = ""
    looked_up: bool = False
    range: tuple[float, float] | None = None


def resolve_unit(metric: Metric, loss: str, token: str = "character") -> Metric:
    """The metric with its unit for a task with this loss. Raises KeyError for a loss not in `LOSS_UNITS`.

    Args: token: of a text, what is predicted at one step.
    """
    units = {name: unit.replace("character", token) for name, unit in UNITS_OF_LOSS[loss].items()}
    return metric._replace(unit=metric.unit.format(**units))


def suffixed_metrics(metrics: Mapping[str, Metric], suffix: str, condition: str = "") -> dict[str, Metric]:
    """The same metrics under a condition: each name with the suffix, each definition followed by the condition."""
    note = f"; {condition}" if condition else ""
    return {f"{name}{suffix}": one._replace(definition=f"{one.definition}{note}") for name, one in metrics.items()}


def metric_name(request: str) -> str:
    """The name in what a study asks for: "final_loss" of "final_loss", "loss" of "loss@900-1000"."""
    return request.partition("@")[0]
