"""From the axes of a study to its arms, and from a count to its seeds. Imports no JAX."""

import itertools
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from rnnjax.config.fields import FIELDS, flatten, validate_field
from rnnjax.config.schema import Arm, Claim, StudyFile
from rnnjax.errors import BadInput
from rnnjax.settings import HParams, Seed, Spec, TaskSpec
from rnnjax.settings.checks import as_float32, check_value, format_input, nearest_first, quote_commas

FIRST_SEED = 42
LONGEST_NAME = 200  # of an arm: a file system allows 255 bytes


def check_count(file: StudyFile, where: str, max_runs: int) -> None:
    """Raises BadInput for an axis without values or more runs than allowed; before any list of them is made."""
    seeds = file.seeds if is_integer(file.seeds) else len(file.seeds) if isinstance(file.seeds, list) else 1
    tables = [(min(seeds, seed_limit(table, where) or seeds), axis_fields(table)) for table in file.axes]
    runs = sum(arm_seeds * math.prod(axis_lengths(fields, where)) for arm_seeds, fields in tables) if tables else seeds
    if runs > max_runs:
        raise BadInput(f"{where}: {runs:,} runs; limit {max_runs:,} (--max-runs)")


def axis_fields(table: dict[str, Any]) -> dict[str, Any]:
    """The fields of a table of axes, without `seeds`."""
    return {name: values for name, values in flatten(table).items() if name != "seeds"}


def seed_limit(table: dict[str, Any], where: str) -> int | None:
    """How many of the study's seeds the arms of a table of axes are run with; None = all."""
    count = table.get("seeds")
    if count is not None and not (is_integer(count) and count >= 1):
        raise BadInput(f"{where}:axes.seeds: got {format_input(count)}; expected integer >= 1")
    return count


def axis_lengths(table: dict[str, Any], where: str) -> list[int]:
    for name, values in table.items():
        if not isinstance(values, list):
            raise BadInput(f"{where}:axes.{name}: got {format_input(values)}; expected a list of values")
        if not values:
            raise BadInput(f"{where}: axis '{name}' has no values")
    return [len(values) for values in table.values()]


def is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def expand_axes(file: StudyFile, where: str) -> list[Arm]:
    """The arms: every table of `axes` is a product of its lists; without axes there is one arm, "base"."""
    base = {name: validate_field(name, value, where) for name, value in file.base.items()}
    points = [
        (point, seed_limit(table, where))
        for table in file.axes
        for point in axis_product(axis_fields(table), f"{where}:axes")
    ] or [({}, None)]
    varying = [name for name in FIELDS if any(name in point for point, _ in points)]
    arms = [build_arm(point, base, varying)._replace(max_seeds=seeds) for point, seeds in points]
    reject_identical(arms, where)
    reject_duplicates([one.name for one in arms], "have one name", arms, where)
    for one in arms:
        if len(one.name) > LONGEST_NAME:
            raise BadInput(f"{where}:axes: the arm {one.name[:40]!r}... has a name longer than {LONGEST_NAME}")
    return arms


def keep_arms(file: StudyFile, arms: list[Arm], patterns: Sequence[str]) -> tuple[StudyFile, list[Arm]]:
    """A study with only the arms that a pattern names, and without the items about the others.

    Raises:
        BadInput: a pattern that names no arm.
    """
    for pattern in patterns:
        if not matching_names(arms, [pattern]):
            listed = ", ".join(map(quote_commas, nearest_first(pattern, [arm.name for arm in arms])))
            raise BadInput(f"--arm: got {pattern!r}; expected one of: {listed}")
    kept = matching_names(arms, patterns)
    left = [arm for arm in arms if arm.name in kept]

    def known(items: Any) -> Any:
        """Items that show arms, with the selected arms only."""
        shorter = [replace(item, arms=[p for p in item.arms if matching_names(left, [p])]) for item in items]
        return [item for item in shorter if item.arms]

    def judged(claim: Claim) -> Claim:
        """A claim with the criteria whose arms are all selected: among fewer arms another could be the best."""
        return replace(claim, criteria=[one for one in claim.criteria if matching_names(arms, one.patterns()) <= kept])

    showing = ("figures", "tables", "contradictions", "questions", "advice")
    shown: dict[str, Any] = {name: known(getattr(file, name)) for name in showing}
    whole = file.conventions is not None and all(
        matching_names(arms, one.arms) <= kept for one in file.conventions.numbers
    )
    file = replace(
        replace(file, **shown),
        claims=[claim for claim in map(judged, file.claims) if claim.criteria],
        conventions=file.conventions if whole else None,
        explorer=file.explorer if file.explorer and matching_names(arms, file.explorer.arms) <= kept else None,
        initial_statistics=next(iter(known([file.initial_statistics] if file.initial_statistics else [])), None),
        baseline=file.baseline if file.baseline in kept else "",
    )
    return file, left


def unquote(pattern: str) -> str:
    """A pattern without the quotes around it: names of arms have commas, and messages quote them."""
    quoted = len(pattern) > 1 and pattern[0] == pattern[-1] and pattern[0] in "'\""
    return pattern[1:-1] if quoted else pattern


ARM_KEYS = ("arms", "compared_to", "baseline")  # keys of a study file that name arms


def unquote_arms(table: Any, key: str = "") -> Any:
    """The tables of a study file with unquoted names of arms."""
    if isinstance(table, dict):
        return {name: unquote_arms(value, "arms" if key == "factors" else name) for name, value in table.items()}
    if isinstance(table, list):
        return [unquote_arms(value, key) for value in table]
    return unquote(table) if isinstance(table, str) and key in ARM_KEYS else table


def matching_names(arms: list[Arm], patterns: Sequence[str]) -> set[str]:
    """The names of the arms that a list of patterns names."""
    return {arm.name for arm in arms if any(fnmatchcase(arm.name, pattern) for pattern in patterns)}


def reject_identical(arms: list[Arm], where: str) -> None:
    """Raises BadInput for the first two arms with the same settings, which float32 numbers may share."""
    reject_duplicates([(one.spec, *map(as_float32, one.hp)) for one in arms], "are identical", arms, where)


def reject_duplicates(keys: list[Any], what: str, arms: list[Arm], where: str) -> None:
    """Raises BadInput for the first two arms, counted from 1, that have one key."""
    first: dict[Any, int] = {}
    for number, (key, one) in enumerate(zip(keys, arms, strict=True), 1):
        if first.setdefault(key, number) != number:
            raise BadInput(f"{where}:axes: arms {first[key]} and {number} {what} ({one.name})")


def axis_product(table: dict[str, Any], where: str) -> list[dict[str, Any]]:
    checked_values = [[validate_field(name, value, where) for value in values] for name, values in table.items()]
    return [dict(zip(table, combination, strict=True)) for combination in itertools.product(*checked_values)]


def build_arm(point: dict[str, Any], base: dict[str, Any], varying: list[str]) -> Arm:
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
        else f"{last_word(name) if words.count(last_word(name)) == 1 else name}={format_number(value)}"
        for name, value in point.items()
    ]
    name = re.sub(r"[^A-Za-z0-9._=,+-]", "-", ",".join(parts))
    return name if name.strip(".") else f"arm{name}" if name else "base"  # "." and ".." are folders


def last_word(name: str) -> str:
    return re.split(r"[._]", name)[-1]


def format_number(number: float) -> str:
    """Six digits where these are exact, else all."""
    return f"{number:g}" if float(f"{number:g}") == number else str(number)


def seed_list(file: StudyFile, where: str) -> list[int]:
    """The seeds themselves, from a count or from a list."""
    seeds: Any = file.seeds
    if is_integer(seeds):
        seeds = range(FIRST_SEED, FIRST_SEED + min(seeds, 2**32))  # that many reach beyond the last seed
    if not isinstance(seeds, list | range):
        raise BadInput(f"{where}:seeds: got {format_input(seeds)}; expected integer or list of integers")
    if not seeds:
        raise BadInput(f"{where}:seeds: got {format_input(file.seeds)}; expected at least one seed")
    for seed in seeds[-1:] if isinstance(seeds, range) else seeds:
        check_value("seeds", Seed, seed, where)
    twice = next((seed for seed, times in Counter(seeds).items() if times > 1), None)
    if twice is not None:
        raise BadInput(f"{where}:seeds: seed {twice} given twice; duplicates would count one run as two")
    return list(seeds)
