"""From a TOML file and `--set` to a `Study`, or to one line with the mistake. Imports no JAX."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from rnnjax.config.arms import check_count, expand_axes, keep_arms, reject_identical, seed_list, unquote, unquote_arms
from rnnjax.config.fields import FIELDS, flatten, unknown_field, validate_field
from rnnjax.config.renamed import SINCE
from rnnjax.config.schema import COUNT, LIST, Arm, Study, StudyFile
from rnnjax.config.toml_file import parse_toml_value, read_toml
from rnnjax.devices import available_memory
from rnnjax.errors import BadInput
from rnnjax.settings import HParams, Spec, TaskSpec, resolve_decay
from rnnjax.settings.checks import format_input
from rnnjax.settings.later_fields import CELL_FIELDS, NETWORK_FIELDS, TABLE_FIELDS, TEXT_FIELDS

SEEDS = "seeds"  # the number of seeds, among the settings that differ from a file
BYTES_PER_STEP = 40  # of a series or an example: its numbers in float64 and float32, the inputs and targets
BYTES_PER_CHARACTER = 16  # of a text: its ids, the inputs and targets, and the text itself


def load_study(
    path: Path,
    overrides: Iterable[str] = (),
    seeds: int | None = None,
    max_runs: int = 10_000,
    patterns: Sequence[str] = (),
) -> Study:
    """Read a study.

    Args:
        overrides: "field=value", as after `--set`. seeds: how many, instead of the file's.
        patterns: of the arms to run; none = all.

    Raises:
        BadInput: one line `<file>:<field>: got <value>; expected <rule>.`
    """
    tables = read_toml(path)
    asked = {name: validate_field(name, value, "--set") for name, value in map(parse_override, overrides)}
    return build_study(tables, path.stem, str(path), asked, seeds, max_runs, patterns)


def build_study(
    tables: dict[str, Any],
    name: str,
    where: str,
    asked: dict[str, Any],
    seeds: int | None = None,
    max_runs: int = 10_000,
    patterns: Sequence[str] = (),
) -> Study:
    """A study from the tables of its file.

    Args: where: for messages. asked: validated settings that take the place of the file's. Others: as `load_study`.
    """
    patterns = [unquote(pattern) for pattern in patterns]
    file = validate_tables(unquote_arms(tables), where)
    check_overridden_axes(asked, file)
    wanted = asked | ({} if seeds is None else {SEEDS: seeds})
    file_values = {name: value for name, value in values_of_file(file, wanted).items() if value != wanted[name]}
    varied = any("steps" in flatten(table) for table in file.axes)
    shorter = {"steps": asked.pop("steps")} if varied and "steps" in asked else {}
    file = replace(file, base=flatten(file.base) | asked, seeds=file.seeds if seeds is None else seeds)
    check_count(file, where, max_runs)
    arms = resolve_decays(scale_steps(expand_axes(file, where), file, shorter, where), where)
    if patterns:
        file, arms = keep_arms(file, arms, patterns)
    study = Study(name, file, arms, seed_list(file, where), {}, complete=not patterns, file_values=file_values)
    study = study._replace(overrides=describe_overrides(wanted, file_values, study.complete))
    check_saves(study, where)
    check_size(study, where)
    return study._replace(config=resolved_settings(study))


def parse_override(text: str) -> tuple[str, Any]:
    """'learning_rate=0.1' -> ("learning_rate", 0.1): the value is TOML, or a plain string where it is not."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise BadInput(f"--set: got {text!r}; expected field=value")
    name = name.strip()
    try:
        plain = parse_toml_value(value)
    except BadInput as error:
        raise BadInput(f"--set: {name}: {error}") from None
    text_field = name in FIELDS and FIELDS[name].annotation is str
    return name, value if text_field and not isinstance(plain, str) else plain  # task.columns=2021 is a name


def validate_tables(table: dict[str, Any], where: str) -> StudyFile:
    """The file's own tables; fields of base and axes are checked by `validate_field`."""
    try:
        return TypeAdapter(StudyFile).validate_python(table)
    except ValidationError as error:
        found = list(dict.fromkeys(describe_error(e, where) for e in error.errors()))
        renamed = [line for line in found if line.endswith(SINCE)]  # the new name is then missing too
        raise BadInput("; ".join(renamed or found)) from None


def describe_error(error: Any, where: str) -> str:
    """One pydantic error in one line."""
    parts = [str(part) for part in error["loc"] if part not in (COUNT, LIST)]
    names = [name for name in parts if not name.startswith("StudyFile")]
    place = ".".join(names)
    if error["type"] == "unexpected_keyword_argument" or error["type"] == "extra_forbidden":
        *above, name = names  # a key in quotes may have dots of its own
        if not above and name in FIELDS:
            return f"{where}: '{name}' stands outside of its table; expected it in [base], or in [[axes]] as a list"
        tables = [one for one in above if not one.isdigit()]
        known = [f.name for f in fields(nested_tables(StudyFile)[tables[-1]] if tables else StudyFile)]
        return f"{where}:{'.'.join(above)} {unknown_field(name, known)}"
    if error["type"] in ("missing", "missing_argument"):
        return f"{where}: missing field '{place}'"
    return (
        f"{where}:{place}: got {format_input(error['input'])}; expected {error['msg'].removeprefix('Input should be ')}"
    )


def nested_tables(kind: type) -> dict[str, type]:
    """The tables inside a table, at any depth, by their names in the file."""
    found: dict[str, type] = {}
    for name, hint in get_type_hints(kind).items():
        for table in (hint, *get_args(hint)):
            if isinstance(table, type) and is_dataclass(table):
                found |= {name: table, **nested_tables(table)}
    return found


def scale_steps(arms: list[Arm], file: StudyFile, asked: dict[str, Any], where: str) -> list[Arm]:
    """Arms with their steps scaled as those of the base are by `--set steps`; each at least one step.

    Their names stay, because claims name arms by them.
    """
    if not asked:
        return arms
    share = validate_field("steps", asked["steps"], where) / file.base.get("steps", Spec.steps)

    def shorter(arm: Arm) -> Arm:
        steps = max(1, round(arm.spec.steps * share))
        return arm._replace(spec=replace(arm.spec, steps=steps), axes=arm.axes | {"steps": steps})

    return [shorter(arm) for arm in arms]


def resolve_decays(arms: list[Arm], where: str) -> list[Arm]:
    """Arms with the number of steps that decay_steps = 0 stands for. Raises BadInput where two become identical."""

    def resolved(arm: Arm) -> Arm:
        hp = resolve_decay(arm.spec, arm.hp)
        varied = {"decay_steps": hp.decay_steps} if "decay_steps" in arm.axes else {}
        return arm._replace(hp=hp, axes=arm.axes | varied)

    tied = any(not arm.hp.decay_steps for arm in arms)
    arms = [resolved(arm) for arm in arms]
    if tied:
        reject_identical(arms, where)
    return arms


def values_of_file(file: StudyFile, wanted: Iterable[str]) -> dict[str, Any]:
    """The values of some settings in a file, and its number of seeds."""
    seeds = len(file.seeds) if isinstance(file.seeds, list) else file.seeds
    values = {name: entry.default for name, entry in FIELDS.items()} | flatten(file.base) | {SEEDS: seeds}
    return {name: values[name] for name in wanted}


def describe_overrides(values: Mapping[str, Any], file_values: Mapping[str, Any], complete: bool) -> str:
    """Settings that differ from the study's file, as "steps 5,000 (file: 30,000), 8 seeds (file: 32)"."""

    def words(value: Any) -> str:
        return f"{value:,}" if type(value) is int else format_input(value)

    def phrase(name: str) -> str:
        value = f"{words(values[name])} seeds" if name == SEEDS else f"{name} {words(values[name])}"
        return f"{value} (file: {words(file_values[name])})"

    order = sorted(file_values, key=lambda name: name == SEEDS)  # the seeds last
    return ", ".join([*map(phrase, order), *([] if complete else ["some arms only"])])


def check_overridden_axes(asked: dict[str, Any], file: StudyFile) -> None:
    """Raises BadInput for a `--set` that the axes would override; fewer steps shorten them all in proportion."""
    axes = {name for table in file.axes for name in flatten(table)} - {"steps"}
    for name in asked:
        if name in axes:
            raise BadInput(f"--set {name}: is an axis of this study; expected a field that its arms share")


def check_saves(study: Study, where: str) -> None:
    """Raises BadInput for checkpoints further apart than the end of training."""
    steps, every = min(arm.spec.steps for arm in study.arms), study.file.save_every
    if every is not None and every > steps:
        raise BadInput(f"{where}:save_every: got {every}; expected integer >= 1 and <= {steps} (steps)")


def check_size(study: Study, where: str) -> None:
    """Raises BadInput for a study that does not fit into memory."""
    available = available_memory()
    for name, (needed, what) in required_memory(study).items():
        if needed > available:
            raise BadInput(
                f"{where}:{name}: needs {needed / 1e9:,.0f} GB for {what}; available {available / 1e9:,.0f} GB"
            )


def required_memory(study: Study) -> dict[str, tuple[int, str]]:
    """A lower bound of the bytes that each setting needs."""
    specs, runs = [arm.spec for arm in study.arms], sum(len(arm.seeds(study.seeds)) for arm in study.arms)
    hidden, block = max(max(spec.sizes) for spec in specs), max(spec.block for spec in specs) or 1
    rows = max(-(-spec.steps // spec.log_every) for spec in specs)
    states = max(spec.window * spec.batch * spec.hidden * (spec.block or 1) for spec in specs)
    drawn = ("grammar", "recall")
    characters = max(spec.task.characters if spec.task.name in drawn else 0 for spec in specs)
    series = max(spec.task.length if spec.task.name == "series" else 0 for spec in specs)
    adding = [s.task for s in specs if (s.task.name, s.task.recall) == ("recall", "adding")]
    delayed = [s.task for s in specs if (s.task.name, s.task.recall) == ("recall", "delayed_copy")]
    examples = max(
        [task.examples * task.length for task in adding]
        + [task.examples * (task.copy_delay + 2 * task.copy_length) for task in delayed],
        default=0,
    )
    draws = study.file.initial_statistics.count if study.file.initial_statistics else 0
    return {
        "hidden": (4 * hidden**2 * runs, f"Wh of {runs:,} runs with hidden {hidden:,}"),
        "block": (4 * hidden**2 * block, f"Wh of one block of {block:,} runs"),
        "steps": (16 * rows * runs, f"the record of {runs:,} runs, {rows:,} rows each"),
        "window": (4 * states, f"the states of one block's windows, {states:,} numbers"),
        "task.characters": (BYTES_PER_CHARACTER * characters, f"a text of {characters:,} characters"),
        "task.length": (BYTES_PER_STEP * series, f"a series of {series:,} steps"),
        "task.examples": (BYTES_PER_STEP * examples, f"examples of {examples:,} steps together"),
        "initial_statistics": (4 * hidden**2 * draws, f"{draws:,} starts"),
    }


def resolved_settings(study: Study) -> dict[str, Any]:
    """Everything that decides the numbers of a study, as plain values: every arm in full, the seeds, the probes."""
    arms = {
        arm.name: asdict(arm.spec)
        | {k: v for k, v in arm.hp._asdict().items() if k != "seed"}
        | {"seeds": len(arm.seeds(study.seeds))}
        for arm in study.arms
    }
    for field in (*TABLE_FIELDS, *TEXT_FIELDS):  # a study without them is known by what it was known by before them
        if all(arm["task"][field] == getattr(TaskSpec, field) for arm in arms.values()):
            for arm in arms.values():
                del arm["task"][field]
    defaults = {name: getattr(Spec, name) for name in NETWORK_FIELDS}
    defaults |= {name: HParams._field_defaults[name] for name in CELL_FIELDS}
    for field, default in defaults.items():
        if all(arm[field] == default for arm in arms.values()):
            for arm in arms.values():
                del arm[field]
    return {"arms": arms, "seeds": study.seeds, "probes": study.file.probes, "save_every": study.file.save_every}
