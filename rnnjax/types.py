"""Shared types: the axis legend, and the interfaces of cells, tasks and probes.

Axis letters, used as suffixes of arrays of rank >= 2; time comes first (`inputs_TB`):

    R runs (arm x seed)      T time, the TBPTT window    V vocabulary     L lag
    K runs of one block      D input                     O output         P prompts
    S rows of the record     H hidden                    G gates          N characters
    B batch                  W windows of the text       M texts of a beam

Losses are means over what counts, whatever the reduction that is optimised: in nats per character where symbols are
predicted, in squared units of the target where numbers are. A run is one arm with one seed; an arm is
one point of a study's axes; a group is the runs that share one compiled program.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jax import Array

from rnnjax.settings import TaskSpec
from rnnjax.settings.metrics import Metric
from rnnjax.settings.vocabulary import Vocabulary

Params = dict[str, Any]  # a tree of arrays
Carry = Any  # a cell's own state: an array or a tuple of arrays


RECURRENT_PARAMETERS = (  # names of what carries the state over, of every cell of rnnjax
    *("recurrent_kernel", "recurrent_skew", "recurrent_weights", "recurrent_decay", "recurrent_phase"),
    "recurrent_step",
)


def stored_kernel(params: Params) -> Array:
    """The recurrent kernel of a cell that has it as a parameter."""
    return params["recurrent_kernel"]


class Cell(NamedTuple):
    """A recurrent cell for ONE example: a linear recurrence and an elementwise gate.

    `r = h @ recurrent_kernel` is done by `unroll`, which can therefore own its backward pass too.
    """

    gates: tuple[str, ...]  # the G blocks of the kernels, by name
    init: Callable[[Array], Params]  # key -> {kernel [D, G*H], recurrent_kernel [H, G*H], bias [G*H], gate: {...}}
    carry: Callable[[], Carry]  # the carry at t = 0
    project_input: Callable[[Params, Array], Array]  # params, x [D] or an id -> u [G*H], outside the scan
    gate: Callable[[Params, Carry, Array, Array], Carry]  # params["gate"], carry, u, r [G*H] -> carry, elementwise
    hidden_state: Callable[[Carry], Array]  # carry -> h [H]
    activation: str = "tanh"  # whose range h has: one of `networks.activations.ACTIVATIONS`
    product: Callable[[Array, Array], Array] = operator.matmul  # h [..., H], the recurrent kernel -> r [..., G*H]
    recurrent_kernel: Callable[[Params], Array] = stored_kernel  # params -> the kernel, computed once for a window
    fused: str = ""  # the kind of `networks.fused` that runs its windows; "" = a scan does

    def step(self, params: Params, carry: Carry, x: Array) -> Carry:
        """One whole step of one example."""
        recurrent = self.product(self.hidden_state(carry), self.recurrent_kernel(params))
        return self.gate(params["gate"], carry, self.project_input(params, x), recurrent)


class LinearRecurrence(NamedTuple):
    """s' = a * s + b elementwise, for ONE example: a and b depend on the input and not on the state s."""

    coefficients: Callable[[Params, Array], tuple[Array, Array]]  # params, x [D] or an id -> a, b of the shape of s
    state: Callable[[Carry], Array]  # carry, whose leaves are real -> s, which may be complex
    output: Callable[[Params, Array, Array], Carry]  # params, s, x -> the carry
    parallel: bool = False  # a window by an associative scan, not step by step


class OpaqueCell(NamedTuple):
    """A cell for ONE example without a recurrent product of its own kind, such as any of Flax's."""

    init: Callable[[Array], Params]  # key -> params
    carry: Callable[[], Carry]
    step: Callable[[Params, Carry, Array], Carry]  # params, carry, x [D] or an id -> carry
    hidden_state: Callable[[Carry], Array]
    activation: str = "tanh"  # as in `Cell`
    gates: tuple[str, ...] = ()  # the blocks of params["recurrent_kernel"], by name, where it has one
    linear: LinearRecurrence | None = None  # of a cell that is linear in its state: what `step` does, taken apart


class LabelledSequence(NamedTuple):
    """A sequence to learn from: the input and the target of each step."""

    inputs_N: np.ndarray  # [N] int32 ids, or [N, D] float32
    targets_N: np.ndarray  # [N] int32 ids, or [N, O] float32
    loss_mask_N: np.ndarray | None = None  # [N] 1 where the loss counts, else 0; None = everywhere
    valid_N: np.ndarray | None = None  # [N] false where a sequence has already ended; None = nowhere
    example_length: int = 1  # windows start at multiples of it; 1 where the sequence is not made of examples
    measured_N: np.ndarray | None = None  # [N] 1 where the target was measured, else 0; None = everywhere
    starts_N: np.ndarray | None = None  # [N] true at the first step of a document, which begins at the initial state


class WindowData(NamedTuple):
    """A sequence cut into windows; in a stream [:, :, b] window w + 1 continues window w."""

    inputs_WTB: np.ndarray  # int32 ids, or float32 [W, T, B, D]
    targets_WTB: np.ndarray  # int32 ids, or float32 [W, T, B, O]
    loss_mask_WTB: np.ndarray | None = None  # as in `LabelledSequence`
    valid_WTB: np.ndarray | None = None
    target_scale_O: np.ndarray | None = None  # a prediction times this is in the unit of the target; None = 1
    measured_WTB: np.ndarray | None = None  # as in `LabelledSequence`; `loss_mask_WTB` is 0 there too
    starts_WTB: np.ndarray | None = None  # true at the first step of a sequence, which begins at the initial state
    class_weights_O: np.ndarray | None = None  # factors of the classes in the optimised loss; None = 1


class SequenceRows(NamedTuple):
    """Rows of T steps, each with one sequence or several after each other, with their targets."""

    inputs_MT: np.ndarray  # int32 ids, or float32 [M, T, D]; 0 where a row has no step
    targets_MT: np.ndarray  # int32 ids, or float32 [M, T, O]
    loss_mask_MT: np.ndarray  # float32, 1 where the loss counts
    valid_MT: np.ndarray  # bool, true at the steps of sequences
    starts_MT: np.ndarray | None = None  # bool, true at the first step of each; None = one at the start of each row


class SequencePool(NamedTuple):
    """Sets of rows, each of another length, from which batches are drawn in an order of the run's own.

    Step s of training takes rows of set `plan_S[s % S]`, which has been taken `rank_S[s % S]` times before in S steps.
    """

    sets: tuple[SequenceRows, ...]
    plan_S: np.ndarray  # int32
    rank_S: np.ndarray  # int32
    target_scale_O: np.ndarray | None = None  # as in `WindowData`
    class_weights_O: np.ndarray | None = None


class SequenceSet(NamedTuple):
    """Sequences one after the other: sequence n is the rows offsets_N[n] ... offsets_N[n + 1] - 1."""

    inputs_R: np.ndarray  # int32 ids, or float32 [R, D]
    targets_R: np.ndarray  # int32 ids, or float32 [R, O]; one target of a whole sequence stands at its last row
    loss_mask_R: np.ndarray  # float32, 1 where the loss counts
    offsets_N: np.ndarray  # int64 [N + 1]
    names: tuple[str, ...] = ()
    mean_ND: np.ndarray | None = None  # of each sequence, was subtracted from its rows; None = one scale for all
    scale_ND: np.ndarray | None = None  # and then they were divided by it

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.offsets_N)

    @property
    def size(self) -> int:
        """N, how many sequences there are."""
        return len(self.offsets_N) - 1


class SequenceParts(NamedTuple):
    """The two parts of a set of sequences, and how batches are laid out."""

    train: SequenceSet
    validation: SequenceSet
    lengths: tuple[int, ...]  # of the rows that training reads, rising; the last one is the longest sequence
    packed: bool = False  # several sequences in one row
    predict: str = "label"  # see `TaskSpec.predict`
    classes: tuple[str, ...] = ()  # of labels or tags
    class_weights_O: tuple[float, ...] = ()  # of the optimised loss
    columns: tuple[str, ...] = ()  # of values or the next row: the names of the targets
    input_mean_D: tuple[float, ...] = ()  # of numbers: was subtracted from the inputs
    input_scale_D: tuple[float, ...] = ()  # and then divided by


class DataNotice(NamedTuple):
    """A fact about a user's data that its owner may not know; training goes on."""

    column: str  # empty where it is about the rows
    # code (a number that may mean "missing"), missing, gap, duplicate, zone, index, series, rows, notation, unknown
    kind: str
    text: str

    def __str__(self) -> str:
        return f"column {self.column!r} {self.text}" if self.column else self.text


class RowIndex(NamedTuple):
    """The index of the rows of a table, as far as a forecast needs it to go on."""

    name: str  # of its column, which may be empty
    last: float  # of the last row: microseconds since 1970, or a number
    unit: str  # of `step`: microseconds, weekdays, months, count; rows = not equally spaced, `last` counts rows
    step: float
    template: str = ""  # of dates, see `tasks.tables.times.format_time`
    offset: int = 0  # minutes from UTC to the zone of the dates


class SeriesLayout(NamedTuple):
    """How the columns of a series become the inputs and targets of a network, see `tasks.series_layout`.

    The columns are O that are predicted, then X that are read as well, then K whose future is known.
    """

    targets: int  # O
    inputs: int  # X
    known: int  # K
    horizon: int  # rows ahead for which errors are measured
    ahead: int  # rows that one output predicts: 1, or `horizon` of a direct forecast
    lags: tuple[int, ...] = ()  # rows before the next one
    difference: tuple[float, ...] = ()  # c_1 ... c_P: y_t + c_1 y_{t-1} + ... is read in the place of y_t
    input_mean_D: tuple[float, ...] = ()
    input_scale_D: tuple[float, ...] = ()
    output_mean_Q: tuple[float, ...] = ()  # Q = ahead * O, the rows one after the other
    output_scale_Q: tuple[float, ...] = ()


class SeriesRows(NamedTuple):
    """All rows of a series, as far as a forecast and its judgement need them."""

    columns: tuple[str, ...]  # C = O + X + K of them
    values_NC: np.ndarray  # float64 in own units; NaN where a number is missing
    fitted: int  # the first rows, which are trained on
    split: int  # the first held-out row
    stop: int  # the first row after the held-out part
    season: int  # rows of one, 0 where there is none
    joined: bool = True  # the held-out rows follow the training rows; false: they are a draw apart
    index_name: str = ""
    labels: tuple[str, ...] = ()  # of the rows; empty without an index
    end: RowIndex | None = None  # the last row, from which labels go on
    future_MK: np.ndarray | None = None  # known inputs of the rows after the last


class Task(NamedTuple):
    """Data to learn from, with its exact reference losses."""

    train_N: np.ndarray  # [N] int32 ids, or [N, ...] float32
    validation_N: np.ndarray  # held out, of the same kind
    make_sequence: Callable[[np.ndarray], LabelledSequence]  # of train_N or validation_N
    inputs: int  # D, or how many ids there are
    outputs: int  # O
    loss: str  # of one prediction, one of `losses.LOSSES`
    reference_losses: dict[str, float]  # of the loss: "chance", "floor", and others of a text or a series
    vocabulary: Vocabulary = ""  # of a text: the token of id i is vocabulary[i]
    text_measures: Callable[[str], dict[str, float]] | None = None  # of a generated text, "valid_words" in [0, 1] ...
    columns: tuple[str, ...] = ()  # of a series: the names of the outputs
    target_mean_O: tuple[float, ...] = ()  # of a series: was subtracted from each column of the targets
    target_scale_O: tuple[float, ...] = ()  # and then divided by
    last_only: bool = False  # the loss counts at the last step of each window only
    grammar: Any = None  # of a text that a `grammar.Grammar` made: it
    notices: tuple[DataNotice, ...] = ()  # of a file: what its owner may not know
    series: SeriesRows | None = None  # of a series: its rows, for forecasts
    layout: SeriesLayout | None = None  # of a series: how they are read
    axes_swapped: bool = False  # windows [T, B] are handed over as [B, T]: what is read as time is the batch
    token: str = "character"  # of a text: what a token is; the loss is in nats per token
    tokens_per_character: float = 1.0  # of a text: in its held-out part
    ngram_losses: tuple[float, ...] = ()  # of a user's text: held-out losses of n-grams, n = 1, 2, ...
    settings: TaskSpec | None = None  # of a task made by `rnnjax.text_task` and the like: what it was made with
    sequences: SequenceParts | None = None  # of a set of sequences: its parts; train_N are the numbers of sequences


class Probe(NamedTuple):
    """A measurement of a network between two chunks of training."""

    measure: Callable[[Any, Any, Array], dict[str, Array]]  # state, hp, step of ONE run -> scalars or [L]; compiled
    summarise: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]  # on the host: [R, ...] -> [R, ...]
    metrics: Mapping[str, Metric] = {}  # a description of each value of `summarise`
    labels: Mapping[str, Sequence[tuple[str, str]]] = {}  # of a value of kind "map": (name, group) of each point


class Facts(NamedTuple):
    """Constants that no network determines; nothing is compiled for them."""

    values: Mapping[str, float]
    metrics: Mapping[str, Metric] = {}


def no_summary(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The summary of a probe that needs none."""
    return values
