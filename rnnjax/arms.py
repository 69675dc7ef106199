"""From the axes of a study to its arms, and from a count to its seeds. Imports no JAX."""

import itertools
import math
import re
from collections import Counter
from typing import Any

from pydantic import TypeAdapter, ValidationError

from rnnjax.errors import BadInput
from rnnjax.fields import FIELDS, as_float32, checked, flat, rule, shown
from rnnjax.settings import HParams, Seed, Spec, TaskSpec
from rnnjax.study import Arm, StudyFile

FIRST_SEED = 42
LONGEST_NAME = 200  # of an arm: a file system allows 255 bytes


def check_count(file: StudyFile, where: str, max_runs: int) -> None:
    """Raises BadInput for an axis without values or more runs than allowed; before any list of them is made."""
    seeds = file.seeds if is_integer(file.seeds) else len(file.seeds) if isinstance(file.seeds, list) else 1
    runs = seeds * (sum(math.prod(axis_lengths(flat(table), where)) for table in file.axes) or 1)
    if runs > max_runs:
        raise BadInput(f"{where}: {runs:,} runs; limit {max_runs:,} (--max-runs)")


def axis_lengths(table: dict[str, Any], where: str) -> list[int]:
    for name, values in table.items():
        if not isinstance(values, list):
            raise BadInput(f"{where}:axes.{name}: got {shown(values)}; expected a list of values")
        if not values:
            raise BadInput(f"{where}: axis '{name}' has no values")
    return [len(values) for values in table.values()]


def is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def expand(file: StudyFile, where: str) -> list[Arm]:
    """The arms: every table of `axes` is a product of its lists; without axes there is one arm, "base"."""
    base = {name: checked(name, value, where) for name, value in file.base.items()}
    points = [point for table in file.axes for point in product(flat(table), f"{where}:axes")] or [{}]
    varying = [name for name in FIELDS if any(name in point for point in points)]
    arms = [arm(point, base, varying) for point in points]
    refuse_twins([(one.spec, *map(as_float32, one.hp)) for one in arms], "are identical", arms, where)
    refuse_twins([one.name for one in arms], "have one name", arms, where)
    for one in arms:
        if len(one.name) > LONGEST_NAME:
            raise BadInput(f"{where}:axes: the arm {one.name[:40]!r}... has a name longer than {LONGEST_NAME}")
    return arms


def refuse_twins(keys: list[Any], what: str, arms: list[Arm], where: str) -> None:
    """Raises BadInput for the first two arms, counted from 1, that have one key."""
    first: dict[Any, int] = {}
    for number, (key, one) in enumerate(zip(keys, arms, strict=True), 1):
        if first.setdefault(key, number) != number:
            raise BadInput(f"{where}:axes: arms {first[key]} and {number} {what} ({one.name})")


def product(table: dict[str, Any], where: str) -> list[dict[str, Any]]:
    checked_values = [[checked(name, value, where) for value in values] for name, values in table.items()]
    return [dict(zip(table, combination, strict=True)) for combination in itertools.product(*checked_values)]


def arm(point: dict[str, Any], base: dict[str, Any], varying: list[str]) -> Arm:
    values = {name: entry.default for name, entry in FIELDS.items()} | base | point
    owned: dict[str, dict[str, Any]] = {"task": {}, "spec": {}, "hp": {}}
    for name, value in values.items():
        owned[FIELDS[name].owner][name.removeprefix("task.")] = value
    spec = Spec(task=TaskSpec(**owned["task"]), **owned["spec"])
    return Arm(arm_name(point, varying), {name: values[name] for name in varying}, spec, HParams(**owned["hp"]))


def arm_name(point: dict[str, Any], varying: list[str]) -> str:
    """Words bare, numbers with the last word of their field, or all of it if two share that: `orthogonal,gain=0.5`."""
    words = [last_word(name) for name in varying]
    parts = [
        value
        if isinstance(value, str)
        else f"{last_word(name) if words.count(last_word(name)) == 1 else name}={short(value)}"
        for name, value in point.items()
    ]
    return re.sub(r"[^A-Za-z0-9._=,+-]", "-", ",".join(parts)) or "base"


def last_word(name: str) -> str:
    return re.split(r"[._]", name)[-1]


def short(number: float) -> str:
    """Six digits where they say it all."""
    return f"{number:g}" if float(f"{number:g}") == number else str(number)


def seed_list(file: StudyFile, where: str) -> list[int]:
    """The seeds themselves, from a count or from a list."""
    seeds: Any = file.seeds
    if is_integer(seeds):
        seeds = range(FIRST_SEED, FIRST_SEED + min(seeds, 2**32))  # that many reach beyond the last seed
    if not isinstance(seeds, list | range):
        raise BadInput(f"{where}:seeds: got {shown(seeds)}; expected integer or list of integers")
    if not seeds:
        raise BadInput(f"{where}:seeds: got {shown(file.seeds)}; expected at least one seed")
    for seed in seeds[-1:] if isinstance(seeds, range) else seeds:
        check_seed(seed, where)
    twice = next((seed for seed, times in Counter(seeds).items() if times > 1), None)
    if twice is not None:
        raise BadInput(f"{where}:seeds: seed {twice} given twice; duplicates would count one run as two")
    return list(seeds)


def check_seed(seed: Any, where: str) -> None:
    try:
        TypeAdapter(Seed).validate_python(seed, strict=True)
    except ValidationError:
        raise BadInput(f"{where}:seeds: got {shown(seed)}; expected {rule(Seed)}") from None
