"""Names of settings, values and study keys before 0.2 with their present names, for the message that refuses them.

Imports no JAX.
"""

from typing import Any

SETTINGS = {
    "own_share": "sampling_probability",
    "feeding": "scheduled_sampling",
    "feeding_schedule": "sampling_schedule",
    "feeding_steps": "sampling_steps",
    "start": "initial_state",
    "start_scale": "initial_state_scale",
    "check_every": "validate_every",
    "record_every": "log_every",
    "windows": "window_order",
    "task.axes": "task.time_axis",
    "task.readout": "task.loss_steps",
    "task.determiner": "task.determiner_probability",
    "task.lag": "task.copy_delay",
}
VALUES = {("task.time_axis", "right"): "time", ("task.time_axis", "swapped"): "batch"}
STUDY_KEYS = {
    "says": "text",
    "asks": "text",
    "readings": "criteria",
    "against": "compared_to",
    "against_metric": "compared_metric",
    "beside": "other_metrics",
    "given": "controlling_for",
    "over": "divided_by",
    "nearest": "conventions",
    "draws": "initial_statistics",
}
SINCE = "since 0.2"


def renamed_value(name: str, value: Any) -> str:
    """The present name of a setting's value; empty where the value was not renamed."""
    return VALUES.get((name, value), "") if isinstance(value, str) else ""
