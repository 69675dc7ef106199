"""Checks of the values that a user gives: types and ranges by annotation, names by table. Imports no JAX.

The same rule gives the same message in TOML, after `--set` and in Python. pydantic checks types and ranges; the
messages are written here.
"""

import difflib
import math
import struct
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import TypeAdapter, ValidationError

from rnnjax.errors import BadInput

Value = TypeVar("Value")


def check_value(name: str, annotation: Any, value: Any, where: str, float32: bool = False) -> Any:
    """The value of a setting, if it keeps the rule in its annotation.

    Args:
        where: the file or class that has the setting, for the message.
        float32: the value is used as the nearest float32, which may be 0, 1 or infinite and must keep the rule too.
    Raises:
        BadInput: `<where>:<name>: got <value>; expected <rule>`.
    """
    adapter = _adapter(annotation)
    try:
        found = adapter.validate_python(value, strict=True)
        if float32:
            adapter.validate_python(as_float32(found))
    except ValidationError:
        rule = describe_type(annotation) + (" in float32" if float32 else "")
        raise BadInput(f"{where}:{name}: got {format_input(value)}; expected {rule}") from None
    return found


def check_layer_sizes(sizes: str, layers: int, hidden: int) -> None:
    """Raises BadInput for sizes of layers, as "128,64", that are no numbers, of another count, or end in another."""
    words = sizes.split(",")
    place = f"Spec:layer_sizes: got {format_input(sizes)}"
    if not all(word.strip().isdecimal() and 0 < int(word) < 2**31 for word in words):
        raise BadInput(f"{place}; expected whole numbers >= 1 separated by commas, such as 128,64")
    if len(words) != layers:
        raise BadInput(f"{place}; expected {layers} sizes, as layers = {layers}")
    if int(words[-1]) != hidden:
        raise BadInput(f"{place}; expected {hidden} as the last one, as hidden = {hidden}; the others may differ")


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)


def as_float32(value: float) -> float:
    """The float32 next to a number; infinite above the largest one."""
    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def describe_type(annotation: Any) -> str:
    """A setting's rule in words: "integer >= 1", "one of: sum, mean, last"."""
    if get_origin(annotation) is Literal:
        return "one of: " + ", ".join(map(str, get_args(annotation)))
    if get_origin(annotation) is not Annotated:
        return {str: "text", bool: "true or false", int: "integer", float: "number"}[annotation]
    kind, *bounds = get_args(annotation)
    return " ".join([describe_type(kind), " and ".join(dict.fromkeys(describe_bound(bound) for bound in bounds))])


def describe_bound(bound: Any) -> str:
    """One end of a range: ">= 1", "finite"."""
    symbols = {Ge: ("ge", ">="), Gt: ("gt", ">"), Le: ("le", "<="), Lt: ("lt", "<")}
    attribute, symbol = symbols[type(bound)]
    limit = getattr(bound, attribute)
    return "finite" if math.isinf(limit) else f"{symbol} {limit}"


def format_input(value: Any) -> str:
    """A user's value in an error line: short and on one line."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, bool):
        return "boolean " + str(value).lower()
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def lookup(table: Mapping[str, Value], name: str, field: str) -> Value:
    """`table[name]`. Raises BadInput with all names and the nearest, where the table has no such name."""
    if name in table:
        return table[name]
    close = difflib.get_close_matches(name, table, 1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    raise BadInput(f"{field}: got {name!r}; expected one of: {', '.join(table)}.{hint}")


def check_known(field: str, value: str, table: Iterable[str]) -> None:
    """Raises BadInput for a name that is not in a table."""
    names = list(table)
    if value not in names:
        close = difflib.get_close_matches(value, names, 1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        raise BadInput(f"{field}: got {value!r}; expected one of: {', '.join(nearest_first(value, names))}.{hint}")


def nearest_first(value: str, names: Iterable[str]) -> list[str]:
    """The names that are like a value, the nearest first, then the others in their order."""
    known = list(names)
    close = difflib.get_close_matches(value, known, 3, 0.5)
    return [*close, *(name for name in known if name not in close)]


def quote_commas(name: str) -> str:
    """A name in quotes where it has a comma, as those of most arms: a list of them is else not to be read."""
    return f"'{name}'" if "," in name else name
