"""study.json: the description of a study beside its results, so that a run folder can be read without its TOML file."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from rnnjax.config.schema import Arm, Study, StudyFile
from rnnjax.errors import DamagedState
from rnnjax.settings import HParams, Spec, TaskSpec

STUDY_FILE = "study.json"
ELSEWHERE = {"base", "axes"}  # the settings of every arm stand in the manifest, in full


def study_to_json(study: Study) -> dict[str, Any]:
    """All of a study but the settings of its arms, as plain values; defaults are left out."""
    file = TypeAdapter(StudyFile).dump_python(study.file, exclude=ELSEWHERE, exclude_defaults=True)
    arms = [{"name": arm.name, "axes": list(arm.axes), "max_seeds": arm.max_seeds} for arm in study.arms]
    known = {"name": study.name, "complete": study.complete, "overrides": study.overrides}
    known |= {"file_values": dict(study.file_values)} if study.file_values else {}
    return known | {"seeds": study.seeds, "arms": arms, "file": file}


def study_from_json(tree: Mapping[str, Any], config: dict[str, Any]) -> Study:
    """The study that `study_to_json` described. Args: config: of the manifest. Raises DamagedState."""
    try:
        file = TypeAdapter(StudyFile).validate_python(tree["file"])
        arms = [parse_arm(arm, config["arms"][arm["name"]]) for arm in tree["arms"]]
        known = {name: tree[name] for name in ("name", "seeds", "complete", "overrides")}
        known["file_values"] = tree.get("file_values", {})
    except (KeyError, TypeError, AttributeError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise DamagedState(f"{STUDY_FILE}: does not describe a study of this version ({reason})") from error
    return Study(**known, file=file, arms=arms, config=config)


def parse_arm(arm: Mapping[str, Any], settings: Mapping[str, Any]) -> Arm:
    """An arm from its line in study.json and its settings in the manifest."""
    spec, hp = parse_settings(settings)
    axes = {name: setting_value(spec, hp, name) for name in arm["axes"]}
    return Arm(arm["name"], axes, spec, hp, arm["max_seeds"])


def setting_value(spec: Spec, hp: HParams, name: str) -> Any:
    """The value of a setting by its name in a study file, such as `hidden` or `task.path`."""
    if name.startswith("task."):
        return getattr(spec.task, name.removeprefix("task."))
    return getattr(hp if name in HParams._fields else spec, name)


def parse_settings(settings: Mapping[str, Any]) -> tuple[Spec, HParams]:
    """Spec and hyperparameters as the manifest keeps them, where infinity is a word."""
    plain: dict[str, Any] = {name: float(value) if value == "inf" else value for name, value in settings.items()}
    plain.pop("seeds", None)
    hp = HParams(**{name: plain.pop(name) for name in HParams._fields if name in plain})
    return Spec(**plain | {"task": TaskSpec(**plain["task"])}), hp
