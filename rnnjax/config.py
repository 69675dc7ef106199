"""From a TOML file and `--set` to a `Study`, or to one line that says what is wrong. Imports no JAX.

A field is known by its name alone: `Spec`, `HParams` and `TaskSpec` (as `task.<field>`) own it, and their annotation is
its rule. pydantic checks types and ranges; the words are ours.
"""

import difflib
import itertools
import math
import os
import re
import stat
import struct
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt
from pydantic import TypeAdapter, ValidationError

from rnnjax.errors import BadInput
from rnnjax.settings import HParams, Seed, Spec, TaskSpec
from rnnjax.study import Arm, Study, StudyFile

LARGEST_FILE = 1_000_000  # bytes
DEEPEST = 32  # nested tables or arrays
FIRST_SEED = 42
LONGEST_NAME = 200  # of an arm: a file system allows 255 bytes
BYTES_PER_CHARACTER = 16  # of a text: its ids, the inputs and targets, and the text itself
DERIVED = ("task", "inputs", "outputs", "seed")  # not for the user to set one by one


class Field(NamedTuple):
    """A setting: who owns it and what it may be."""

    owner: Literal["task", "spec", "hp"]
    annotation: Any
    default: Any


def _fields() -> dict[str, Field]:
    hints = {kind: get_type_hints(kind, include_extras=True) for kind in (TaskSpec, Spec, HParams)}
    task = {f"task.{f.name}": Field("task", hints[TaskSpec][f.name], f.default) for f in fields(TaskSpec)}
    spec = {f.name: Field("spec", hints[Spec][f.name], f.default) for f in fields(Spec)}
    hp = {name: Field("hp", hints[HParams][name], HParams._field_defaults[name]) for name in HParams._fields}
    return {name: entry for name, entry in (task | spec | hp).items() if name not in DERIVED}


FIELDS = _fields()


def load(path: Path, overrides: Iterable[str] = (), seeds: int | None = None, max_runs: int = 10_000) -> Study:
    """Read a study.

    Args:
        overrides: "field=value", as after `--set`. seeds: how many, instead of the file's.

    Raises:
        BadInput: one line `<file>:<field>: got <value>; expected <rule>.`
    """
    where = str(path)
    table = read_toml(path)
    base = table.setdefault("base", {})
    asked = dict(parse_override(text) for text in overrides)
    if isinstance(base, dict):
        table["base"] = flat(base) | asked
    file = checked_file(table, where)
    refuse_overridden_axes(asked, file)
    if seeds is not None:
        file = replace(file, seeds=seeds)
    check_count(file, where, max_runs)
    study = Study(path.stem, file, expand(file, where), seed_list(file, where), {})
    check_saves(study, where)
    check_size(study, where)
    return study._replace(config=resolved(study))


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file, with every way in which that can fail as one line."""
    raw = read_limited(path)
    if len(raw) > LARGEST_FILE:
        raise BadInput(f"{path}: config larger than 1 MB")
    text = decoded(raw, path)
    if not text.strip():
        raise BadInput(f"{path}: config is empty")
    return parsed(text, path)


def read_limited(path: Path) -> bytes:
    """The bytes of a regular file, and no more than it takes to see that there are too many."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise BadInput(f"{path}: is a directory; expected a TOML file")
        if not stat.S_ISREG(mode):  # a pipe would make us wait, and /dev/zero has no end
            raise BadInput(f"{path}: is not a regular file; expected a TOML file")
        with path.open("rb") as file:
            return file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise BadInput(f"no such config file {str(path)!r}{nearest_files(path)}") from None
    except OSError as error:
        raise BadInput(f"{path}: {(error.strerror or str(error)).lower()}") from None


def nearest_files(path: Path) -> str:
    known = [str(p) for p in sorted(Path("configs").glob("*/*.toml"))] + [str(p) for p in path.parent.glob("*.toml")]
    close = difflib.get_close_matches(str(path), known, 3, 0.4)
    return f"; nearest: {', '.join(dict.fromkeys(close))}" if close else ""


def decoded(raw: bytes, path: Path) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: invalid UTF-8 at byte {error.start:,}; expected a TOML file in UTF-8") from None


def parsed(text: str, path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(text)
    except RecursionError:
        raise BadInput(f"{path}: nested deeper than {DEEPEST}") from None
    except tomllib.TOMLDecodeError as error:
        raise BadInput(located(str(error), text, path)) from None
    if depth(table) > DEEPEST:
        raise BadInput(f"{path}: nested deeper than {DEEPEST}")
    return table


def located(message: str, text: str, path: Path) -> str:
    """The parser's message with the line that it means and a caret under the column."""
    place = re.search(r"\(at line (\d+), column (\d+)\)", message)
    lines = text.splitlines()
    line, column = (int(place[1]), int(place[2])) if place else (len(lines), len(lines[-1]) + 1)
    reason = message.split(" (at ")[0]
    shown = lines[min(line, len(lines)) - 1][:200]
    return f"{path}:{line}:{column}: {reason[0].lower()}{reason[1:]}\n    {shown}\n    {' ' * (column - 1)}^"


def depth(value: Any) -> int:
    """How deep tables and arrays are nested; without recursion, because the value is the user's."""
    level, layer = 0, [value]
    while layer:
        level += 1
        layer = [
            item
            for outer in layer
            if isinstance(outer, dict | list)
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return level


def flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"task": {"path": p}} -> {"task.path": p}; only for tables that are not themselves the value of a field."""
    items: dict[str, Any] = {}
    for name, value in table.items():
        nested = isinstance(value, dict) and f"{prefix}{name}" not in FIELDS
        items |= flat(value, f"{prefix}{name}.") if nested else {f"{prefix}{name}": value}
    return items


def parse_override(text: str) -> tuple[str, Any]:
    """'learning_rate=0.1' -> ("learning_rate", 0.1): the value is TOML, or a plain string where it is not."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise BadInput(f"--set: got {text!r}; expected field=value")
    try:
        table = tomllib.loads(f"value = {value}")
    except (tomllib.TOMLDecodeError, RecursionError):
        table = {}
    return name.strip(), table["value"] if table.keys() == {"value"} else value  # else: no TOML, or more than a value


def checked_file(table: dict[str, Any], where: str) -> StudyFile:
    """The file's own tables; fields of base and axes are checked by `checked`."""
    try:
        return TypeAdapter(StudyFile).validate_python(table)
    except ValidationError as error:
        raise BadInput("; ".join(dict.fromkeys(explain(e, where) for e in error.errors()))) from None


def explain(error: Any, where: str) -> str:
    """One pydantic error in one line."""
    place = ".".join(str(part) for part in error["loc"] if not str(part).startswith("StudyFile"))
    if error["type"] == "unexpected_keyword_argument" or error["type"] == "extra_forbidden":
        known = [f.name for f in fields(StudyFile)] + list(FIELDS)
        return f"{where}: {unknown(place.split('.')[-1], known)}"
    if error["type"] in ("missing", "missing_argument"):
        return f"{where}: missing field '{place}'"
    return f"{where}:{place}: got {shown(error['input'])}; expected {error['msg'].removeprefix('Input should be ')}"


def unknown(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1, 0.5)
    return f"unknown field '{name}'" + (f"; did you mean '{close[0]}'?" if close else "")


def shown(value: Any) -> str:
    """A user's value in an error line: short and on one line."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, bool):
        return "boolean " + str(value).lower()
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def checked(name: str, value: Any, where: str) -> Any:
    """A field's value if it keeps the field's rule."""
    if name not in FIELDS:
        raise BadInput(f"{where}: {unknown(name, FIELDS)}")
    owner, annotation, _ = FIELDS[name]
    expected = rule(annotation)
    try:
        found = TypeAdapter(annotation).validate_python(value, strict=True)
        if owner == "hp":  # it is used as the nearest float32, which may be 0, 1 or infinite
            expected += " in float32"
            TypeAdapter(annotation).validate_python(as_float32(found))
    except ValidationError:
        raise BadInput(f"{where}:{name}: got {shown(value)}; expected {expected}") from None
    return found


def as_float32(value: float) -> float:
    """The float32 next to a number; infinite above the largest one."""
    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def rule(annotation: Any) -> str:
    """A field's rule in words: "integer >= 1", "one of: sum, mean, last"."""
    if get_origin(annotation) is Literal:
        return "one of: " + ", ".join(map(str, get_args(annotation)))
    if get_origin(annotation) is not Annotated:
        return {str: "text", bool: "true or false", int: "integer", float: "number"}[annotation]
    kind, *bounds = get_args(annotation)
    return " ".join([rule(kind), " and ".join(bound_text(bound) for bound in bounds)])


def bound_text(bound: Any) -> str:
    symbols = {Ge: ("ge", ">="), Gt: ("gt", ">"), Le: ("le", "<="), Lt: ("lt", "<")}
    attribute, symbol = symbols[type(bound)]
    limit = getattr(bound, attribute)
    return "finite" if limit == float("inf") else f"{symbol} {limit}"


def refuse_overridden_axes(asked: dict[str, Any], file: StudyFile) -> None:
    """Raises BadInput for a `--set` that the axes would override, in some arms or in all."""
    axes = {name for table in file.axes for name in flat(table)}
    for name in asked:
        if name in axes:
            raise BadInput(f"--set {name}: is an axis of this study; expected a field that its arms share")


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


def check_saves(study: Study, where: str) -> None:
    """Raises BadInput for checkpoints further apart than the end of training."""
    steps, every = min(arm.spec.steps for arm in study.arms), study.file.save_every
    if every is not None and every > steps:
        raise BadInput(f"{where}:save_every: got {every}; expected integer >= 1 and <= {steps} (steps)")


def check_size(study: Study, where: str) -> None:
    """Raises BadInput for what this machine cannot hold."""
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name, (needed, what) in memory(study).items():
        if needed > available:
            raise BadInput(
                f"{where}:{name}: needs {needed / 1e9:,.0f} GB for {what}; available {available / 1e9:,.0f} GB"
            )


def memory(study: Study) -> dict[str, tuple[int, str]]:
    """The bytes of what grows with each setting, at least."""
    specs, runs = [arm.spec for arm in study.arms], len(study.arms) * len(study.seeds)
    hidden, block = max(spec.hidden for spec in specs), max(spec.block for spec in specs)
    rows = max(-(-spec.steps // spec.record_every) for spec in specs)
    states = max(spec.window * spec.batch * spec.hidden * spec.block for spec in specs)
    characters = max(spec.task.characters if spec.task.name == "grammar" else 0 for spec in specs)
    draws = study.file.draws.count if study.file.draws else 0
    return {
        "hidden": (4 * hidden**2 * runs, f"Wh of {runs:,} runs with hidden {hidden:,}"),
        "block": (4 * hidden**2 * block, f"Wh of one block of {block:,} runs"),
        "steps": (16 * rows * runs, f"the record of {runs:,} runs, {rows:,} rows each"),
        "window": (4 * states, f"the states of one block's windows, {states:,} numbers"),
        "task.characters": (BYTES_PER_CHARACTER * characters, f"a text of {characters:,} characters"),
        "draws": (4 * hidden**2 * draws, f"{draws:,} starts"),
    }


def resolved(study: Study) -> dict[str, Any]:
    """All that decides a study's numbers, as plain values: every arm in full, the seeds, the probes."""
    arms = {
        arm.name: asdict(arm.spec) | {k: v for k, v in arm.hp._asdict().items() if k != "seed"} for arm in study.arms
    }
    return {"arms": arms, "seeds": study.seeds, "probes": study.file.probes, "save_every": study.file.save_every}


def field_help() -> str:
    """All settings with their defaults and rules, for `--help`."""
    owners = {"spec": "settings that fix a program", "hp": "settings batched over runs", "task": "settings of the task"}
    lines = []
    for owner, title in owners.items():
        lines += ["", f"{title}:"]
        lines += [
            f"  {name:<22} {entry.default!s:<14} {rule(entry.annotation)}"
            for name, entry in FIELDS.items()
            if entry.owner == owner
        ]
    return "\n".join(lines).strip()
