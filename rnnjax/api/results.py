"""The results of a study as tables, curves, figures and verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from os import PathLike
from pathlib import Path
from typing import Any

from rnnjax.analysis.results import ArmResult
from rnnjax.analysis.results import Results as StudyResults
from rnnjax.analysis.statistics import Interval
from rnnjax.analysis.verdicts import judge_claim
from rnnjax.api import tables
from rnnjax.api.arguments import python_names
from rnnjax.api.networks import Network, load_network
from rnnjax.api.tables import Patterns
from rnnjax.reports.document import VERDICTS
from rnnjax.reports.formatting import format_value
from rnnjax.reports.summary import claim_summary
from rnnjax.studies import load_results as stored


@dataclass(frozen=True, repr=False, eq=False)
class Results:
    """A finished study. Arms are chosen by patterns, such as "hidden=*" or ["base", "lstm,*"].

    Attributes: folder: the run folder. loaded: all that was recorded and derived, per arm.

    Example:
        >>> results.verdicts
        {'larger': 'unresolved'}
        >>> list(results.intervals("final_loss"))
        ['hidden=4', 'hidden=8']
        >>> list(results.to_dataframe("final_loss").columns)
        ['study', 'arm', 'hidden', 'seed', 'metric', 'value', 'unit']
        >>> results.curves("loss").shape  # arm, seed, step
        (2, 2, 2)
        >>> results.plot("loss", arms="hidden=8").layout.title.text
        'Loss over training'
        >>> results.network("hidden=8", seed=43)
        Network(elman 8, arm 'hidden=8', seed 43, step 50)
    """

    folder: Path
    loaded: StudyResults

    @property
    def name(self) -> str:
        """The name of the study."""
        return self.loaded.study.name

    @property
    def arms(self) -> list[str]:
        """The names of the arms."""
        return [arm.name for arm in self.loaded.arms]

    @property
    def metrics(self) -> list[str]:
        """The metrics that all arms have."""
        return tables.shared_metrics(self.loaded.arms)

    @cached_property
    def claims(self) -> list[dict[str, Any]]:
        """Each claim with its verdict, estimate, interval and the measurements behind it in words."""
        judgements = [judge_claim(claim, self.loaded.arms) for claim in self.loaded.study.file.claims]
        return [claim_summary(judgement) for judgement in judgements]

    @property
    def verdicts(self) -> dict[str, str]:
        """The verdict of each claim, by its id."""
        return {claim["id"]: claim["verdict"] for claim in self.claims}

    @property
    def report(self) -> Path:
        """The report, a web page."""
        return self.folder / "report.html"

    def intervals(self, metric: str = "final_loss", arms: Patterns = "*") -> dict[str, Interval | None]:
        """The mean of a metric over seeds and its 95% interval, by arm; None where all runs have diverged."""
        return tables.intervals(self.select(arms), metric)

    def to_dataframe(self, metric: str | Sequence[str] | None = None, arms: Patterns = "*") -> Any:
        """A pandas DataFrame with a row for each arm, seed and metric: study, arm, axes ..., seed, metric, value, unit.

        Args: metric: a name of docs/metrics.md, several, or None for all that the arms share.
        """
        chosen = self.select(arms)
        names = tables.shared_metrics(chosen) if metric is None else [metric] if isinstance(metric, str) else metric
        return tables.frame(self.name, chosen, list(names))

    def curves(self, metric: str = "loss", arms: Patterns = "*") -> Any:
        """A curve of training or a probe as an xarray DataArray with the dimensions arm, seed, step (and lag)."""
        return tables.curves_array(self.select(arms), metric)

    def plot(self, metric: str = "loss", arms: Patterns = "*") -> Any:
        """A plotly figure: a curve with its 95% interval over seeds, or of a metric the interval of each arm."""
        return tables.figure(self.select(arms), metric, self.loaded.arms)

    def network(self, arm: str | None = None, seed: int | None = None) -> Network:
        """A trained network, by default of the first arm and seed."""
        return load_network(self.folder, arm, seed)

    def select(self, arms: Patterns) -> list[ArmResult]:
        """The recorded arms that some patterns name. Raises: BadInput with the nearest names."""
        return tables.choose_arms(self.loaded.arms, arms)

    def __repr__(self) -> str:
        judged = "; ".join(f"{name} {verdict}" for name, verdict in self.verdicts.items())
        size = f"{len(self.arms)} arms, {len(self.loaded.study.seeds)} seeds"
        return f"Results({self.name!r}, {size}{f': {judged}' if judged else ''})"

    def _repr_html_(self) -> str:
        """The question, the verdicts, and the final loss of each arm, for a notebook."""
        study, metric = self.loaded.study, "final_loss"
        claims = [(VERDICTS[claim["verdict"]], claim["verdict"], claim["text"]) for claim in self.claims]
        losses = [
            (name, format_value(interval) if interval else "no finite value")
            for name, interval in self.intervals(metric).items()
        ]
        heading = f"<p><b>{escape(study.file.title or study.file.question)}</b></p>"
        unit = self.loaded.unit(metric)
        return heading + html_table(["", "verdict", "claim"], claims) + html_table(["arm", f"{metric}, {unit}"], losses)


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in HTML; nothing for no rows."""
    if not rows:
        return ""
    lines = [f"<tr>{''.join(f'<th>{escape(name)}</th>' for name in header)}</tr>"]
    lines += [f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows]
    return f"<table>{''.join(lines)}</table>"


def load_results(folder: str | PathLike[str]) -> Results:
    """The results of a finished study, from its run folder alone.

    Raises:
        BadInput: the folder holds no finished study. DamagedState.

    Example:
        >>> rj.load_results("runs/sizes").arms
        ['hidden=4', 'hidden=8']
    """
    path = Path(folder)
    with python_names():
        return Results(path, stored.load_results(path))
