"""The columns of a table that are trained on: chosen by name, or all but the index."""

import csv
import difflib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks.tables.header import NamedRows
from rnnjax.tasks.tables.notation import option

ROLES = ("targets", "inputs", "known_inputs")  # settings that name columns


class ChosenColumns(NamedTuple):
    """The places of the columns that are read: targets, then inputs, then known inputs."""

    places: list[int]
    targets: int  # how many
    inputs: int
    known: int


def split_names(text: str, known: Sequence[str]) -> list[str]:
    """Names with commas between; one that has a comma itself stands in double quotes."""
    if text in known or text.removeprefix("-") in known:
        return [text]
    try:
        [names] = csv.reader([text], skipinitialspace=True, strict=True)
    except (csv.Error, ValueError):
        names = text.split(",")
    return [name.strip() for name in names]


def choose_columns(table: NamedRows, columns: str, index: Sequence[int]) -> list[int]:
    """The places of the chosen columns, in the order of `columns`; all but the index where it is empty.

    Names with a minus before them leave columns out. What is not chosen may have any name, or none.
    """
    if not columns:
        return [place for place in range(len(table.names)) if place not in index]
    names = split_names(columns, table.names)
    excluded = [name for name in names if name.startswith("-") and name not in table.names]
    if excluded and len(excluded) == len(names):
        left_out = {place for name in excluded for place in find_all(table, name[1:].strip())}
        return [place for place in range(len(table.names)) if place not in index and place not in left_out]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise BadInput(f"task.columns: got {name!r} twice; expected different names")
    return [find_column(table, name) for name in names]


def choose_roles(table: NamedRows, settings: TaskSpec, index: Sequence[int]) -> ChosenColumns:
    """The columns that are predicted, those that are read as well, and those whose future is known.

    Raises: BadInput for an unknown name, one with two roles, or a target or input that is not among `columns`.
    """
    asked = {name: named_places(table, getattr(settings, name), name) for name in ROLES}
    targets, inputs, known = asked.values()
    for role, places in asked.items():
        for place in places:
            others = [one for one in ROLES if one != role and place in asked[one]]
            if others:
                name = table.names[place]
                raise BadInput(f"task.{role}: got {name!r}, which task.{others[0]} has too; expected it in one of them")
    if settings.columns or not (targets and inputs):
        chosen = [place for place in choose_columns(table, settings.columns, index) if place not in known]
        check_among("targets", table, targets, chosen)
        check_among("inputs", table, inputs, chosen)
        rest = [place for place in chosen if place not in targets and place not in inputs]
        if not targets:
            targets = rest
        elif not inputs:
            inputs = rest
    if not targets and known + inputs:
        raise BadInput("task.targets: got no column to predict; expected one that is no input")
    return ChosenColumns([*targets, *inputs, *known], len(targets), len(inputs), len(known))


def named_places(table: NamedRows, names: str, setting: str) -> list[int]:
    """The places of the columns that a setting names. Raises: BadInput for an unknown name, or one twice."""
    listed = split_names(names, table.names) if names else []
    for number, name in enumerate(listed):
        if name in listed[:number]:
            raise BadInput(f"task.{setting}: got {name!r} twice; expected different names")
    return [find_column(table, name, setting) for name in listed]


def check_among(setting: str, table: NamedRows, places: Sequence[int], chosen: Sequence[int]) -> None:
    """Raises BadInput for a column that `task.columns` leaves out."""
    for place in places:
        if place not in chosen:
            known = ", ".join(table.names[one] for one in chosen)
            raise BadInput(f"task.{setting}: got {table.names[place]!r}; expected one of task.columns: {known}")


def asked_names(settings: TaskSpec, known: Sequence[str]) -> set[str]:
    """The names in all settings that choose columns to read."""
    lists = [getattr(settings, name) for name in ("columns", *ROLES)]
    return {name for names in lists if names for name in split_names(names, known)}


def without_columns(names: Sequence[str], others: Sequence[str], settings: TaskSpec) -> str:
    """The remedy that leaves columns out. Args: others: the columns that remain."""
    if not others or any(getattr(settings, role) for role in ROLES):
        return ""
    quoted = [f'"{name}"' if "," in name else name for name in (others if settings.columns else names)]
    asked = ",".join(quoted) if settings.columns else ",".join(f"-{name}" for name in quoted)
    return f"; leave {'them' if len(names) > 1 else 'it'} out with {option(f'columns={asked}')}"


def is_trained_on(table: NamedRows, places: Iterable[int], settings: TaskSpec) -> bool:
    """Whether some columns would be trained on if they were no index, without being asked for by name."""
    asked = split_names(settings.columns, table.names) if settings.columns else []
    left_out = {name[1:].strip() for name in asked if name.startswith("-") and name not in table.names}
    return len(left_out) == len(asked) and not all(table.names[place] in left_out for place in places)


def find_all(table: NamedRows, name: str) -> list[int]:
    """The places of all columns with a name. Raises BadInput for none."""
    found = [place for place, known in enumerate(table.names) if known == name]
    return found or [find_column(table, name)]


def find_column(table: NamedRows, name: str, setting: str = "columns") -> int:
    """The place of a column. Raises BadInput for a name that is unknown, or that two columns have."""
    places = [place for place, known in enumerate(table.names) if known == name and name]
    if len(places) == 1:
        return places[0]
    if places:
        raise BadInput(f"task.{setting}: got {name!r}, the name of {len(places)} columns; expected that of one")
    known = [one for one in table.names if one]
    close = difflib.get_close_matches(name, known, 1)
    hint = f". Did you mean {close[0]!r}?" if close else ""
    raise BadInput(f"task.{setting}: got {name!r}; expected one of: {', '.join(known)}{hint}")


def check_names(table: NamedRows, chosen: Sequence[int]) -> None:
    """Raises BadInput for a column that is trained on without a name, or with that of another."""
    names = [table.names[place] for place in chosen]
    others = ",".join(dict.fromkeys(name for name in names if name and names.count(name) == 1))
    remedy = f"; choose columns with {option(f'columns={others}')}" if others else ""
    for place, name in zip(chosen, names, strict=True):
        if not name:
            raise BadInput(
                f"task.path: line 1: got no name for column {place + 1}; expected a name, or numbers only{remedy}"
            )
        if names.count(name) > 1:
            raise BadInput(f"task.path: line 1: got two columns {name!r}; expected different names{remedy}")
