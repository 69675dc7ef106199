"""Studies from Python: a question, arms, seeds and claims, trained into a run folder."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from html import escape
from os import PathLike
from pathlib import Path
from typing import Any

from rnnjax.api.arguments import plain, python_names
from rnnjax.api.results import Results, load_results
from rnnjax.api.setup import ProgressMode, display_mode, has_terminal
from rnnjax.config import schema
from rnnjax.config.fields import flatten, validate_field
from rnnjax.config.load import build_study
from rnnjax.config.toml_file import read_toml
from rnnjax.errors import BadInput
from rnnjax.studies import run
from rnnjax.studies.callback import Callback

TABLES = "Study"  # where a mistake is, in messages


@dataclass(frozen=True, init=False, repr=False, eq=False)
class Study:
    """A study: every arm is trained with every seed, and the claims are judged.

    Args:
        question: in one sentence. base: settings of every arm, as {"hidden": 32, "task": {"name": "text"}}.
        axes: one product of lists, as {"hidden": [16, 32]}, or several. claims: as in a study file, dicts with "id",
            "text" and "criteria". seeds: how many, from 42 on, or which. name: of the study.
        tables: the other tables of a study file (docs/studies.md): probes, questions, figures ...

    Raises:
        BadInput: one line with the field, what was got, what is expected, and the nearest name.

    Example:
        >>> study = rj.Study(
        ...     "Is a larger network better?",
        ...     base={"task.characters": 2000, "steps": 50, "window": 10},
        ...     axes={"hidden": [4, 8]},
        ...     claims=[{"id": "larger", "text": "The larger network has the lower loss.", "criteria": [{
        ...         "rule": "difference", "metric": "final_loss",
        ...         "arms": ["hidden=8"], "compared_to": ["hidden=4"], "high": 0.0}]}],
        ...     seeds=2,
        ...     name="sizes",
        ... )
        >>> study
        Study('sizes', 2 arms, 2 seeds)
        >>> study.arms
        ['hidden=4', 'hidden=8']
    """

    definition: schema.Study

    def __init__(
        self,
        question: str,
        *,
        base: Mapping[str, Any] | None = None,
        axes: Mapping[str, Any] | Sequence[Mapping[str, Any]] = (),
        claims: Sequence[Mapping[str, Any]] = (),
        seeds: int | Sequence[int] = 32,
        name: str = "study",
        max_runs: int = 10_000,
        **tables: Any,
    ) -> None:
        listed = [axes] if isinstance(axes, Mapping) else list(axes)
        given = {"question": question, "base": with_task(base or {}), "axes": listed, "claims": claims, "seeds": seeds}
        with python_names():
            found = build_study(plain(given | tables), name, TABLES, {}, None, max_runs)
        object.__setattr__(self, "definition", found)

    @classmethod
    def from_toml(
        cls,
        path: str | PathLike[str],
        *,
        seeds: int | None = None,
        arms: Sequence[str] = (),
        max_runs: int = 10_000,
        **settings: Any,
    ) -> "Study":
        """The study of a file. Args: arms: patterns of those to run; none = all. settings: as steps=200, or
        task={"path": "notes.md"}, in the place of the file's. Raises: BadInput.
        """
        file = Path(path)
        with python_names():
            asked = {name: validate_field(name, value, "from_toml") for name, value in flatten(plain(settings)).items()}
            found = build_study(read_toml(file), file.stem, str(file), asked, seeds, max_runs, list(arms))
        return cls.from_definition(found)

    @classmethod
    def from_definition(cls, definition: schema.Study) -> "Study":
        """The study of a definition that was checked already."""
        study = object.__new__(cls)
        object.__setattr__(study, "definition", definition)
        return study

    @property
    def name(self) -> str:
        """The name of the study."""
        return self.definition.name

    @property
    def question(self) -> str:
        """The question of the study."""
        return self.definition.file.question

    @property
    def arms(self) -> list[str]:
        """The names of its arms."""
        return [arm.name for arm in self.definition.arms]

    @property
    def seeds(self) -> list[int]:
        """The seeds of every arm."""
        return self.definition.seeds

    def __repr__(self) -> str:
        return f"Study({self.name!r}, {len(self.arms)} arms, {len(self.seeds)} seeds)"

    def _repr_html_(self) -> str:
        names = ", ".join(map(escape, self.arms))
        return f"<p><b>{escape(self.question)}</b></p><p>{len(self.seeds)} seeds of {len(self.arms)} arms: {names}</p>"


def with_task(base: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with those of a `TaskSpec` as a table."""
    task = base.get("task")
    return {**base, "task": asdict(task)} if is_dataclass(task) and not isinstance(task, type) else dict(base)


def run_study(
    study: Study | str | PathLike[str],
    folder: str | PathLike[str],
    *,
    resume: bool = False,
    strict: bool = False,
    progress: ProgressMode = "auto",
    callback: Callback | None = None,
) -> Results:
    """Train a study into a run folder, judge its claims and write its report; a finished folder is only read.

    In a notebook, or on another thread than the main one, no signal is handled and no terminal is controlled: an
    interrupted run goes on with `resume=True` from its last checkpoint, bitwise.

    Args:
        study: or the path of its TOML file. resume: go on in a folder that holds a part of the study, to which arms,
            seeds and steps may be added. strict: refuse to go on under other versions. progress: "auto", "plain" or
            "none". callback: called after each chunk of training with a `ChunkUpdate` (group, step, arms, seeds,
            record, states); the study stops, with its state saved, where it returns true.

    Raises:
        BadInput: a mistake in the study, before anything is compiled or written. FolderRefused: the folder is in use,
        or holds something else. Stopped, AllDiverged, DamagedState, StorageFailed.

    Example:
        >>> results = rj.run_study(study, "runs/sizes", progress="none")
        >>> results
        Results('sizes', 2 arms, 2 seeds: larger unresolved)
    """
    chosen = study if isinstance(study, Study) else load_definition(study)
    mode, path = display_mode(progress), Path(folder)
    with python_names():
        run.run_study(
            chosen.definition,
            path,
            resume and path.exists(),
            strict,
            progress=mode,
            handle_signals=has_terminal(),
            callback=callback,
        )
    return load_results(path)


def load_definition(study: Any) -> Study:
    """The study of a file. Raises: BadInput for anything but a path."""
    if isinstance(study, str | PathLike):
        return Study.from_toml(study)
    raise BadInput(f"study: got {type(study).__name__}; expected a Study, or the path of its TOML file")
