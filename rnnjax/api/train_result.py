"""The result of `train`: parameters, states and record of all seeds, as arrays and as tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.analysis.results import ArmResult, per_seed
from rnnjax.analysis.statistics import Interval, estimate_mean
from rnnjax.api import tables
from rnnjax.api.arguments import choose_name
from rnnjax.api.networks import Network
from rnnjax.api.run_settings import ARM
from rnnjax.settings import HParams, Spec
from rnnjax.settings.metrics import resolve_unit
from rnnjax.studies.load_networks import LoadedNetwork
from rnnjax.studies.metrics import network_sizes, training_metrics, with_metrics
from rnnjax.studies.recording import PROMPT
from rnnjax.training.state import StepMetrics, TrainState
from rnnjax.types import Params, Task


@dataclass(frozen=True, repr=False, eq=False)
class TrainResult:
    """Networks of R seeds after training, as NumPy arrays.

    Attributes:
        spec: with the sizes of the data. hp: of all runs, but for the seed. seeds: [R].
        record: leaves [R, rows]: loss, gradient_norm, clip_share, update_norm, objective; a row is the mean over
            `log_every` steps, NaN where a run has diverged.
        states: leaves [R, ...], with parameters, optimizer and carry. step: optimizer steps done.

    Example:
        >>> run.params["readout"]["kernel"].shape  # [seeds, hidden, outputs]
        (2, 8, 9)
        >>> run.intervals("final_loss").n
        2
        >>> run.curves("loss").dims
        ('seed', 'step')
        >>> run.plot("loss").layout.title.text
        'Loss over training'
    """

    spec: Spec
    hp: HParams
    task: Task
    seeds: list[int]
    record: StepMetrics
    states: TrainState
    step: int

    @property
    def params(self) -> Params:
        """The parameters, leaves [R, ...]."""
        params: Params = self.states.params
        return params

    @property
    def steps(self) -> np.ndarray:
        """The optimizer steps done at the end of each row [rows]."""
        rows = self.record.loss.shape[1]
        return np.minimum(self.spec.log_every * np.arange(1, rows + 1), self.spec.steps)

    def network(self, seed: int | None = None) -> Network:
        """The network of a seed, by default the first. Raises: BadInput for a seed that was not trained."""
        row = 0 if seed is None else self.seeds.index(choose_name("seed", seed, self.seeds))
        task = self.task
        loaded = LoadedNetwork(
            ARM,
            self.step,
            self.spec,
            self.hp._replace(seed=self.seeds[row]),
            jax.tree.map(lambda leaf: jnp.asarray(leaf[row]), self.params),
            task.vocabulary,
            tuple(task.columns),
            tuple(task.target_mean_O),
            tuple(task.target_scale_O),
            task.series,
            task.layout,
            tuple(task.validation_N[:PROMPT].tolist()) if task.vocabulary else (),
        )
        return Network(loaded, None, task)

    def intervals(self, metric: str = "final_loss") -> Interval | None:
        """The mean of a metric over seeds with its 95% interval; None where all runs have diverged."""
        return tables.intervals([self.arm], metric)[ARM]

    def to_dataframe(self, metric: str | Sequence[str] | None = None) -> Any:
        """A pandas DataFrame with the columns study, arm, seed, metric, value, unit. Args: metric: None = all."""
        return tables.frame("train", [self.arm], chosen_metrics([self.arm], metric))

    def curves(self, metric: str = "loss") -> Any:
        """A row of the record as an xarray DataArray with the dimensions seed and step."""
        return tables.curves_array([self.arm], metric).sel(arm=ARM, drop=True)

    def plot(self, metric: str = "loss") -> Any:
        """A plotly figure: the mean over seeds with its 95% interval."""
        return tables.figure([self.arm], metric, [self.arm])

    @cached_property
    def arm(self) -> ArmResult:
        """All that was recorded, as of an arm of a study."""
        reached = self.steps <= max(self.step, 1)
        reached[: -(-self.step // self.spec.log_every)] = True
        result = ArmResult(
            name=ARM,
            axes={},
            seeds=np.array(self.seeds),
            row_steps=self.steps[reached],
            rows={name: values[:, reached] for name, values in self.record._asdict().items()},
            probe_steps=np.array([self.step]),
            probes={},
            diverged_at=np.asarray(self.states.diverged_at),
            metrics={},
            loss=self.task.loss,
            token=self.task.token,
        )
        info = {name: resolve_unit(one, self.task.loss, self.task.token) for name, one in training_metrics().items()}
        return with_metrics(result._replace(info=info), self.task.reference_losses, network_sizes(self.spec))

    def __repr__(self) -> str:
        loss = estimate_mean(per_seed(self.arm, "final_loss"))
        diverged = int((self.arm.diverged_at >= 0).sum())
        words = f"final loss {loss.estimate:.3g} {self.arm.loss_unit}" if loss else "no finite loss"
        lost = f", {diverged} diverged" if diverged else ""
        size = f"{self.spec.cell} {self.spec.hidden}, {len(self.seeds)} seeds, {self.step:,} steps"
        return f"TrainResult({size}, {words}{lost})"

    def _repr_html_(self) -> str:
        """The summary as HTML, for a notebook."""
        return f"<p>{escape(repr(self))}</p>"


def chosen_metrics(arms: Sequence[ArmResult], metric: str | Sequence[str] | None) -> list[str]:
    """The names of one, of several, or of all metrics that the arms share."""
    if metric is None:
        return tables.shared_metrics(arms)
    return [metric] if isinstance(metric, str) else list(metric)
