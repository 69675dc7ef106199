"""A trained network in use: outputs, samples, forecasts, the loss on new data."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge, Gt, Le, Lt
from jax import Array

from rnnjax.api.arguments import python_names
from rnnjax.api.forecast import Forecast, network_forecast
from rnnjax.api.new_data import batch_window, network_inputs, new_task
from rnnjax.errors import BadInput
from rnnjax.networks.keys import key_for
from rnnjax.networks.model import build_network, require_unidirectional
from rnnjax.settings import HParams, Spec, loss_unit
from rnnjax.settings.checks import check_value
from rnnjax.settings.vocabulary import Vocabulary
from rnnjax.studies import load_networks
from rnnjax.studies.datasets import load_tasks
from rnnjax.studies.forecasting import array_settings
from rnnjax.studies.load_networks import IMPORTED, LoadedNetwork
from rnnjax.studies.sampling import SamplingOptions, continue_text
from rnnjax.tasks.windows import held_out_window
from rnnjax.training.loss import evaluate_loss
from rnnjax.types import Carry, Params, Task, WindowData

OPTION_RULES: Mapping[str, Any] = {
    "length": Annotated[int, Ge(1), Le(100_000)],
    "temperature": Annotated[float, Gt(0), Lt(float("inf"))],
    "top_k": Annotated[int, Ge(1)],
    "top_p": Annotated[float, Gt(0), Le(1)],
    "beam": Annotated[int, Ge(1), Le(1_000)],
    "length_penalty": Annotated[float, Ge(0), Le(5)],
    "min_length": Annotated[int, Ge(1)],
    "random": Annotated[int, Ge(0), Le(2**32 - 1)],
    "interval": Annotated[float, Gt(0), Lt(1)],
}


class Evaluation(NamedTuple):
    """The mean loss of a network on data."""

    loss: float
    unit: str
    predictions: int  # over which it is the mean


@dataclass(frozen=True, repr=False, eq=False)
class Network:
    """One trained network, of `load_network` or of `TrainResult.network`.

    Attributes:
        loaded: parameters, settings, vocabulary or columns, as they were stored. folder: its run folder, or None.
        task: its data, where they are known already.

    Example:
        >>> network = run.network(seed=42)
        >>> network("to be").shape  # logits [T, symbols]
        (5, 9)
        >>> carry, logits = network.apply([[0, 1], [2, 3]])  # ids [T, B]
        >>> logits.shape
        (2, 2, 9)
        >>> len(network.sample("to be", 20, top_p=0.9))  # the prompt and 20 characters
        25
        >>> network.evaluate("to be, or not\\nto be\\n").unit
        'nats per character'
    """

    loaded: LoadedNetwork
    folder: Path | None = None
    task: Task | None = None

    @property
    def arm(self) -> str:
        """The arm of the study."""
        return self.loaded.arm

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return int(self.loaded.hp.seed)

    @property
    def step(self) -> int:
        """Optimizer steps done."""
        return self.loaded.step

    @property
    def spec(self) -> Spec:
        """The settings of the program, with the sizes of the data."""
        return self.loaded.spec

    @property
    def hp(self) -> HParams:
        """The hyperparameters of the run."""
        return self.loaded.hp

    @property
    def params(self) -> Params:
        """The parameters: {"layer_0": {"kernel": [D, G*H], ...}, "readout": {"kernel": [H, O], "bias": [O]}}."""
        return self.loaded.params

    @property
    def vocabulary(self) -> Vocabulary:
        """The symbol of each id; empty for a series."""
        return self.loaded.vocabulary

    @property
    def is_imported(self) -> bool:
        """Whether its weights come from another library: it has no data of its own."""
        return self.folder is None and self.arm == IMPORTED

    def apply(self, x: Any, carry: Carry | None = None) -> tuple[Carry, Array]:
        """Read a window. Returns: the carry after it, leaves [B, ...], and the outputs, [T, O] or [T, B, O].

        Args:
            x: a string, ids [T] or [T, B], or numbers [T, D] or [T, B, D] as the network reads them: of a series
                standardised (`loaded.layout` has the means and scales). carry: None = the initial state.

        Raises: BadInput for inputs that the network cannot read.
        """
        inputs, has_streams = network_inputs(self.loaded, x)
        carry, outputs_TBO = apply_function(self.spec.program)(array_settings(self.hp), self.params, carry, inputs)
        return carry, outputs_TBO if has_streams else outputs_TBO[:, 0]

    def initial_carry(self, streams: int = 1) -> Carry:
        """The carry before the first step: a dictionary of the layers, leaves [streams, H]; (c, h) of an lstm."""
        return build_network(self.spec, self.hp).carry(self.params, key_for(self.hp, "evaluation"), streams)

    def __call__(self, x: Any) -> Array:
        """The outputs of `apply` from the initial state."""
        return self.apply(x)[1]

    def sample(self, prompt: str | None = None, length: int = 200, *, greedy: bool = False, **options: Any) -> str:
        """A prompt and its continuation by `length` tokens; without a prompt the held-out text is continued.

        Args:
            greedy: always the most likely token. options: temperature, top_k, top_p, random (a seed); or beam (a
                width), length_penalty, min_length; and end, the token that ends the text.

        Raises: BadInput for an option that breaks its rule, or a network that reads no text.
        """
        if not self.vocabulary and self.is_imported:
            raise BadInput("sample: got a network without a vocabulary; expected vocabulary= where it is imported")
        if not self.vocabulary:
            raise BadInput(f"sample: this network was trained on '{self.spec.task.name}'; expected a text")
        known = set(SamplingOptions._fields) - {"prompt", "greedy"}
        for name in options:
            if name not in known:
                raise BadInput(f"sample: got {name!r}; expected one of: {', '.join(sorted(known))}")
        check_options(length=length, **options)
        check_decoder(greedy, options)
        with python_names():
            require_unidirectional(self.spec)
            return continue_text(self.loaded, length, SamplingOptions(prompt=prompt, greedy=greedy or None, **options))

    def forecast(
        self, length: int = 14, *, data: Any = None, start: int | str | None = None, interval: float | None = None
    ) -> Forecast:
        """The rows after the last one of a series, or after the last row of new data, in own units.

        Args:
            data: an array, table or file to go on from; None = the series of the training. start: label or number,
                from 1, of the first row that is forecast. interval: share of the truths that intervals shall hold; for
                networks of a finished study.

        Raises: BadInput for a network that reads no series, or an argument that breaks its rule.
        """
        check_options(length=length, interval=interval)
        with python_names():
            require_unidirectional(self.spec)
            return network_forecast(self.loaded, self.folder, length, data, start, interval)

    def evaluate(self, data: Any = None) -> Evaluation:
        """The mean loss on new data, or on the held-out part of the training data.

        The state is carried or reset as in training.

        Args: data: a string with a line break, ids, an array, a table or a file; of a network of another library that
            reads no text, (inputs, targets) as of `examine`; None = the held-out part.

        Raises: BadInput for data that the network cannot read, or that are shorter than a window.
        """
        with python_names():
            window, token = self.evaluation_window(data)
        loss = evaluate_function(self.spec.program)(array_settings(self.hp), self.params, window)
        return Evaluation(float(loss), loss_unit(self.spec.loss, token), count_predictions(window))

    def evaluation_window(self, data: Any) -> tuple[WindowData, str]:
        """The windows of new data, or of the held-out part of the training, and what a token is."""
        if self.arm == IMPORTED and not self.vocabulary:
            return batch_window(self.loaded, data), "character"
        task = self.load_task() if data is None else new_task(self.loaded, data)
        return held_out_window(task, self.spec.window, self.spec.carry == "carried"), task.token

    def load_task(self) -> Task:
        """The data of the training. Raises: BadInput where they have changed, or are not known."""
        if self.task is None and self.is_imported:
            raise BadInput("data: got none; expected some, since a network of another library has none of its own")
        return self.task or load_tasks([self.spec.task])[0][self.spec.task]

    def __repr__(self) -> str:
        size = f"{self.spec.cell} {self.spec.layer_sizes or self.spec.hidden}"
        size += f" x {self.spec.layers}" if self.spec.layers > 1 and not self.spec.layer_sizes else ""
        if self.is_imported:
            return f"Network({size}, {IMPORTED})"
        return f"Network({size}, arm {self.arm!r}, seed {self.seed}, step {self.step:,})"

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"


def load_network(
    folder: str | PathLike[str], arm: str | None = None, seed: int | None = None, step: int | None = None
) -> Network:
    """A network of a run folder, which is all that is needed.

    Args:
        arm, seed: None = the first. step: of a run that keeps all checkpoints; None = the last.

    Raises:
        BadInput: no run folder, or no such arm, seed (with the nearest names) or step. DamagedState.

    Example:
        >>> stored = rj.load_network("runs/sizes", arm="hidden=4", seed=43)
        >>> stored
        Network(elman 4, arm 'hidden=4', seed 43, step 50)
    """
    path = Path(folder)
    with python_names():
        return Network(load_networks.load_network(path, arm, seed, step), path)


@lru_cache(maxsize=32)
def apply_function(program: Spec) -> Any:
    """hp, params, carry, x -> carry, outputs: compiled once for all networks of a program."""

    def apply(hp: HParams, params: Params, carry: Carry | None, x: Array) -> tuple[Carry, Array]:
        model = build_network(program, hp)
        start = model.carry(params, key_for(hp, "evaluation"), x.shape[1]) if carry is None else carry
        after, outputs_TBO, _ = model.apply(params, start, x)
        return after, outputs_TBO

    return jax.jit(apply)


@lru_cache(maxsize=32)
def evaluate_function(program: Spec) -> Any:
    """hp, params, window -> mean loss: compiled once for all networks of a program."""

    def evaluate(hp: HParams, params: Params, window: WindowData) -> Array:
        return evaluate_loss(program, hp, params, jax.tree.map(jnp.asarray, window))

    return jax.jit(evaluate)


def count_predictions(window: WindowData) -> int:
    """The targets that count in a loss."""
    if window.loss_mask_WTB is not None:
        return int(np.sum(window.loss_mask_WTB))
    return int(np.prod(window.inputs_WTB.shape[:3]))


def check_options(**options: Any) -> None:
    """Raises: BadInput for an option that breaks its rule."""
    for name, value in options.items():
        if value is not None and name in OPTION_RULES:
            check_value(name, OPTION_RULES[name], value, "network")


def check_decoder(greedy: bool, options: Mapping[str, Any]) -> None:
    """Raises: BadInput for two options of which one would have no effect."""
    drawn = [name for name in ("temperature", "top_k", "top_p", "random") if options.get(name) is not None]
    beam = options.get("beam") is not None
    if greedy and (drawn or beam):
        raise BadInput(f"sample: got greedy and {(drawn or ['beam'])[0]}; expected one of them")
    if beam and drawn:
        raise BadInput(f"sample: got beam and {drawn[0]}; expected one of them")
    lone = [name for name in ("length_penalty", "min_length") if options.get(name) is not None]
    if lone and not beam:
        raise BadInput(f"sample: got {lone[0]} without beam; expected beam=WIDTH too")
