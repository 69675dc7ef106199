"""From a run folder to the study that goes on in it: the folder knows its settings. Loads no JAX."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from rnnjax.config.arms import FIRST_SEED, is_integer
from rnnjax.config.fields import FIELDS, toml_value, validate_field
from rnnjax.config.load import SEEDS, check_saves, check_size, describe_overrides, parse_override
from rnnjax.config.schema import Arm, Study
from rnnjax.config.study_json import STUDY_FILE, setting_value, study_from_json
from rnnjax.errors import BadInput, FolderRefused
from rnnjax.storage.manifest import read_manifest
from rnnjax.storage.sealed import read_sealed_json


def load_stored_study(
    folder: Path, overrides: Iterable[str] = (), seeds: int | None = None, max_runs: int = 10_000
) -> Study:
    """The study of a run folder, with other settings where they are asked for.

    Args: overrides: "field=value"; more steps can be trained, and the folder refuses all else. seeds: how many.

    Raises:
        FolderRefused: there is no run. BadInput: a setting or a number of seeds that breaks its rule. DamagedState.
    """
    manifest = read_manifest(folder) if folder.is_dir() else None
    if manifest is None or not (folder / STUDY_FILE).is_file():
        raise FolderRefused(f"nothing to resume in {folder}")
    config = manifest["config"]
    study = study_from_json(complete_tree(read_sealed_json(folder / STUDY_FILE), config), config)
    asked = {name: validate_field(name, value, "--set") for name, value in map(parse_override, overrides)}
    changed = with_settings(with_seeds(study, seeds), asked)
    runs = sum(len(arm.seeds(changed.seeds)) for arm in changed.arms)
    if runs > max_runs:
        raise BadInput(f"{folder}: {runs:,} runs; limit {max_runs:,} (--max-runs)")
    check_saves(changed, str(folder))
    check_size(changed, str(folder))
    return with_overrides(study, changed, [*asked, *([] if seeds is None else [SEEDS])])


def stored_overrides(folder: Path) -> tuple[list[str], int | None]:
    """The settings, as "field=value", and the number of seeds with which a study file was run into a folder.

    Raises: as `load_stored_study`.
    """
    study = load_stored_study(folder)
    first = study.arms[0]
    values = {name: setting_value(first.spec, first.hp, name) for name in study.file_values if name != SEEDS}
    shared = {name for name in values if len({repr(setting_value(a.spec, a.hp, name)) for a in study.arms}) == 1}
    settings = [f"{name}={toml_value(value)}" for name, value in values.items() if name in shared]
    return settings, len(study.seeds) if SEEDS in study.file_values else None


def complete_tree(tree: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """study.json with the arms and seeds of the manifest, which has them first when some are added."""
    lines = {line["name"]: line for line in tree["arms"]}
    axes = next(iter(lines.values()))["axes"]
    new = {name: {"name": name, "axes": axes, "max_seeds": None} for name in config["arms"]}
    return {**tree, "arms": [lines.get(name, line) for name, line in new.items()], "seeds": config["seeds"]}


def with_seeds(study: Study, number: int | None) -> Study:
    """The study with so many seeds: its own and then the first that it has not."""
    if number is None:
        return study
    if not (is_integer(number) and number >= 1):
        raise BadInput(f"seeds: got {number}; expected at least one seed")
    others = (seed for seed in count(FIRST_SEED) if seed not in study.seeds)
    seeds = [*study.seeds, *(next(others) for _ in range(number - len(study.seeds)))][:number]
    numbers = {arm.name: len(arm.seeds(seeds)) for arm in study.arms}
    arms = {name: {**settings, "seeds": numbers[name]} for name, settings in study.config["arms"].items()}
    return study._replace(seeds=seeds, config={**study.config, "seeds": seeds, "arms": arms})


def with_settings(study: Study, asked: Mapping[str, Any]) -> Study:
    """The study with some settings in every arm. Raises BadInput for one in which its arms differ."""
    for name in asked:
        known = {repr(setting_value(arm.spec, arm.hp, name)) for arm in study.arms}
        if len(known) > 1:
            raise BadInput(
                f"--set {name}: differs between the arms; change the study file, then use CONFIG --resume FOLDER"
            )
    arms = [with_values(arm, asked) for arm in study.arms]
    settings = {name: dict(values) for name, values in study.config["arms"].items()}
    for values in settings.values():
        for name, value in asked.items():
            inner = {"task": {**values["task"], name.removeprefix("task."): value}} if "." in name else {name: value}
            values |= inner
    return study._replace(arms=arms, config={**study.config, "arms": settings})


def with_values(arm: Arm, values: Mapping[str, Any]) -> Arm:
    """An arm with other values of some settings."""
    of = {owner: {n: v for n, v in values.items() if FIELDS[n].owner == owner} for owner in ("task", "spec", "hp")}
    task = replace(arm.spec.task, **{name.removeprefix("task."): value for name, value in of["task"].items()})
    return arm._replace(spec=replace(arm.spec, task=task, **of["spec"]), hp=arm.hp._replace(**of["hp"]))


def with_overrides(stored: Study, changed: Study, asked: Iterable[str]) -> Study:
    """The changed study with the words about all in which it differs from the file of the stored one."""

    def value(study: Study, name: str) -> Any:
        return len(study.seeds) if name == SEEDS else setting_value(study.arms[0].spec, study.arms[0].hp, name)

    names = dict.fromkeys([*stored.file_values, *asked])
    values = {name: value(changed, name) for name in names}
    of_file = {name: stored.file_values.get(name, value(stored, name)) for name in names}
    of_file = {name: known for name, known in of_file.items() if known != values[name]}
    before = "" if stored.file_values else stored.overrides  # in words only: of an older rnnjax, or of some arms only
    words = describe_overrides(values, of_file, changed.complete or bool(before))
    return changed._replace(file_values=of_file, overrides=", ".join(filter(None, [before, words])))
