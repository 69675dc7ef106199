"""page.json: a report as plain values, from which report.html, report.md and the tables are written again.

JSON has no infinities: they are {"float": "inf"}. NaN, a missing value, is null. An interval is `Interval.to_json`, a
figure its plotly JSON.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from pydantic import TypeAdapter

from rnnjax.analysis.statistics import NO_INTERVAL, Interval
from rnnjax.errors import DamagedState
from rnnjax.reports.document import Report, check
from rnnjax.reports.figures.traces import CaptionedFigure
from rnnjax.storage.sealed import read_sealed_json, write_sealed_json

PAGE_FILE = "page.json"


def write_report_json(folder: Path, report: Report) -> None:
    """Write page.json into the folder. Raises StorageFailed."""
    write_sealed_json(folder / PAGE_FILE, to_plain(report), compact=True)


def read_report(folder: Path) -> Report:
    """The report that `write_report_json` wrote. Raises DamagedState, also for another version's file."""
    tree = read_sealed_json(folder / PAGE_FILE)
    try:
        figures = [CaptionedFigure(**each | {"figure": go.Figure(each["figure"])}) for each in tree.pop("figures")]
        report = TypeAdapter(Report, config={"arbitrary_types_allowed": True}).validate_python(
            from_plain(tree) | {"figures": figures}
        )
        check(report)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise DamagedState(f"cannot read {folder / PAGE_FILE}: {str(error).splitlines()[0]}") from error
    return report


def to_plain(value: Any) -> Any:
    """Named tuples as tables, figures as plotly's JSON, NumPy scalars as numbers."""
    if isinstance(value, go.Figure):
        return json.loads(value.to_json())
    if isinstance(value, Interval):
        value = value.to_json()
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if hasattr(value, "item"):  # a NumPy scalar
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else {"float": str(value)}
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def from_plain(tree: Any) -> Any:
    """The inverse of `to_plain`, except for named tuples, which follow from the types of the fields."""
    if isinstance(tree, list):
        return [from_plain(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.keys() == {"float"}:
        return float(tree["float"])
    found = {key: from_plain(item) for key, item in tree.items()}
    return Interval.from_json(found) if tree.keys() == NO_INTERVAL.keys() else found
