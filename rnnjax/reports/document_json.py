"""page.json: the page of a report as plain values, from which every form of it is made again.

Infinities, which JSON does not know, are {"float": "inf"}; NaN, a value that is not there, is null. A figure is its
plotly JSON.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from pydantic import TypeAdapter

from rnnjax.analysis.statistics import Interval
from rnnjax.errors import DamagedState
from rnnjax.reports.document import Page, check
from rnnjax.reports.figures import Drawing
from rnnjax.storage.files import read_json, write_text

NAME = "page.json"


def write_page(folder: Path, page: Page) -> None:
    """Write page.json into the folder. Raises StorageFailed."""
    write_text(folder / NAME, json.dumps(plain(page), allow_nan=False, separators=(",", ":")) + "\n")


def read_page(folder: Path) -> Page:
    """The page that `write_page` wrote. Raises DamagedState, also for a page of another version."""
    tree = read_json(folder / NAME)
    try:
        drawings = [Drawing(**each | {"figure": go.Figure(each["figure"])}) for each in tree.pop("figures")]
        page = TypeAdapter(Page, config={"arbitrary_types_allowed": True}).validate_python(
            revived(tree) | {"figures": drawings}
        )
        check(page)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise DamagedState(f"cannot read {folder / NAME}: {str(error).splitlines()[0]}") from error
    return page


def plain(value: Any) -> Any:
    """Named tuples as tables, figures as plotly's JSON."""
    if isinstance(value, go.Figure):
        return json.loads(value.to_json())
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "item"):  # a number of NumPy's
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else {"float": str(value)}
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def revived(tree: Any) -> Any:
    """`plain` undone, but for the named tuples that a field's type tells."""
    if isinstance(tree, list):
        return [revived(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.keys() == {"float"}:
        return float(tree["float"])
    if tree.keys() == set(Interval._fields):
        bounds = {name: math.nan if tree[name] is None else revived(tree[name]) for name in Interval._fields[:3]}
        return Interval(**bounds, n=tree["n"], method=tree["method"])
    return {key: revived(item) for key, item in tree.items()}
