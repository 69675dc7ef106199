"""The two kinds of setting. Defaults and ranges live here and nowhere else.

A field of `Spec` fixes the compiled program; a field of `HParams` is batched over the runs of one program.
The rule of a field (its type and range) stands in its annotation and is checked wherever a value enters: in a study
file, after `--set`, and where one of these classes is made in Python. Names of tables (`cell`, `optimizer` ...) are
checked where the table is known. The comment of a field is its description in docs/settings.md and `rnnjax settings`.
Imports nothing heavy.

Beside it: `checks` of the values that a user gives, `later_fields`, `metrics` with their units, `vocabulary` of texts.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Self, get_type_hints

from annotated_types import Ge, Gt, Le, Lt

from rnnjax.errors import BadInput
from rnnjax.settings.checks import check_layer_sizes, check_value

LOSS_UNITS = {"cross_entropy": "nats per character", "squared_error": "squared units of the target"}


def loss_unit(loss: str, token: str = "character") -> str:
    """The unit of a loss. Args: token: of a text, what is predicted at one step."""
    return LOSS_UNITS[loss].replace("character", token)


Count = Annotated[int, Ge(1), Le(2**31 - 1)]
Seed = Annotated[int, Ge(0), Le(2**32 - 1)]
Positive = Annotated[float, Gt(0), Lt(math.inf)]
PositiveOrInf = Annotated[float, Gt(0)]
Finite = Annotated[float, Gt(-math.inf), Lt(math.inf)]
Share = Annotated[float, Gt(0), Lt(1)]
NonNegative = Annotated[float, Ge(0), Lt(math.inf)]
Fraction = Annotated[float, Ge(0), Lt(1)]
Probability = Annotated[float, Ge(0), Le(1)]


def check_fields(kind: type, values: Mapping[str, Any], float32: bool = False) -> None:
    """Raises BadInput for the first of some values that breaks the rule of its field; a default always keeps it."""
    rules, defaults = _field_rules(kind)
    for name, value in values.items():
        default = defaults.get(name)
        if type(value) is not type(default) or value != default:
            check_value(name, rules[name], value, kind.__name__, float32 and name != "seed")


@cache
def _field_rules(kind: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The annotations and the defaults of a class's fields."""
    defaults = getattr(kind, "_field_defaults", None) or {f.name: f.default for f in fields(kind)}
    return get_type_hints(kind, include_extras=True), defaults


@dataclass(frozen=True)
class TaskSpec:
    """The learning problem and its data. A task ignores the fields of other tasks."""

    name: str = "grammar"  # the learning problem
    characters: Count = 18_710  # grammar, recall copy: length of the training text
    corpus_seed: Seed = 0  # grammar, series, recall: seed of the generated data; sequences: seed of a random split
    determiner_probability: Probability = 0.5  # grammar: probability of each optional "the"
    extra_letters: str = ""  # grammar: further letters of the vocabulary, besides those of its words
    path: str = ""  # text, series, sequences: the file; empty = the included data, or a generated series
    tokens: Literal["characters", "bytes", "words"] = "characters"  # text, sequences: the unit that is read at one step
    # text, sequences: size of the vocabulary, rarer tokens are one; 0 = all characters, or words that occur twice
    vocabulary_limit: Annotated[int, Ge(0), Le(65_535)] = 0
    # text: the token that begins a document, such as a line end; the state before it is the initial state. "" = none
    document_token: str = ""
    encoding: str = "utf-8"  # text, series, sequences: encoding of the file
    validation: Share = 0.1  # held-out share: the end of a file, or generated data of that share of the training length
    # series: the generated series, or an included one: sunspots = yearly numbers from 1700 to 2008, weather = daily
    # highest temperature and precipitation of Seattle from 2012 to 2015
    series: Literal["sines", "ar", "mackey_glass", "walk", "noise", "uniform", "sunspots", "weather"] = "sines"
    # recall: the problem: copy = each symbol some steps later, delayed_copy = a few symbols after a pause, or adding
    recall: Literal["copy", "delayed_copy", "adding"] = "copy"
    length: Count = 5_000  # series: steps of the training part; recall adding: steps of one example
    # series, sequences: columns of a table, separated by commas; empty = all without another role; -a = all but a
    columns: str = ""
    scale: Positive = 1.0  # series: factor applied to the data
    offset: Finite = 0.0  # series: added after `scale`
    redundancy: Count = 1  # series: the training part is its first 1/redundancy, repeated that many times
    # series, sequences: standardise by mean and deviation of the training part; targets = inputs stay raw; each, of
    # sequences: by those of the sequence itself, of its first `known_steps` where the next row is predicted
    standardise: Literal["all", "targets", "none", "each"] = "all"
    loss_steps: Literal["every", "last"] = "every"  # series: steps of a window that enter the loss
    # series: axis that the network scans; batch = the deliberate mistake of swapped axes
    time_axis: Literal["time", "batch"] = "time"
    copy_delay: Count = 10  # recall copy, delayed_copy: delay between input and target, in steps
    copy_length: Count = 3  # recall delayed_copy: symbols of one example
    symbols: Annotated[int, Ge(2), Le(26)] = 8  # recall copy, delayed_copy: number of different symbols
    examples: Count = 2_000  # recall adding, delayed_copy: training examples
    shortest: Annotated[float, Gt(0), Le(1)] = 1.0  # recall adding: shortest example as a share of `length`
    # table: between the cells; auto = found, semicolon and tab before comma
    delimiter: Literal["auto", "comma", "semicolon", "tab", "bar", "blanks"] = "auto"
    decimal: Literal["auto", "point", "comma"] = "auto"  # table: decimal sign; auto = found for each column
    # table: sign between thousands
    thousands: Literal["none", "point", "comma", "blank", "apostrophe"] = "none"
    units: str = ""  # table: words or signs before or behind numbers, separated by blanks, such as % or EUR
    header: Literal["auto", "yes", "no"] = "auto"  # table: the first row holds names
    skip_lines: str = ""  # table: lines that are left out, such as 1 or 1,3-5: a title, units, comments
    index: str = ""  # table: column that labels the rows; empty = found: dates, times, or a column that counts
    where: str = ""  # table: rows with a value in a column, as station=A
    # table: rows against their index: refuse disorder, as in the file, last row first, or sorted
    order: Literal["check", "file", "reverse", "sort"] = "check"
    missing_values: str = ""  # table: further cells that mean a missing number, separated by commas, such as -9999
    # table, sequences: missing numbers: refused, or from their neighbours; table: without their rows, not in the loss
    missing: Literal["refuse", "interpolate", "drop", "mask"] = "refuse"
    # series, sequences: predicted columns, separated by commas; empty = all that are read, or label, y, target, class
    targets: str = ""
    inputs: str = ""  # series: columns that are read and not predicted; empty = all of `columns` that are no targets
    # series: further columns that are read one row ahead, such as prices or holidays; the file has their future rows
    known_inputs: str = ""
    horizon: Count = 1  # series: rows ahead for which errors are measured, and intervals are known
    # series: recursive = one row ahead, then from its own predictions; direct = `horizon` rows at once
    forecast: Literal["recursive", "direct"] = "recursive"
    lags: str = ""  # series: earlier values of the targets that are read too, as 7,14: that many rows before the next
    differences: str = ""  # series: differences of the targets are read and predicted, as 1 or 1,12 (rows back)
    season: Annotated[int, Ge(0)] = 0  # series: rows of a season, of the seasonal last value and MASE; 0 = found
    # series: held-out parts by which the split lies before the end of the file; sequences: the part held out of `folds`
    fold: Annotated[int, Ge(0)] = 0
    # series: an index with gaps or repeated labels is refused where rows are counted (lags ...); ignore = taken as even
    gaps: Literal["auto", "ignore"] = "auto"
    # sequences: the included set that is read without a file: handwritten digits, by rows of 8 pixels, by pixels, or by
    # pixels in one fixed random order
    sequences: Literal["digits_rows", "digits_pixels", "digits_permuted"] = "digits_rows"
    # sequences: one label or some values for a sequence, a tag for each step, or the next row or symbol
    predict: Literal["label", "values", "tags", "next"] = "label"
    # sequences: a label or values are read from the state after the last step, or from the mean over the steps
    summary: Literal["last", "mean"] = "last"
    # sequences: weights of the classes in the optimised loss; balanced = inverse to their frequency
    class_weights: Literal["none", "balanced"] = "none"
    # sequences: layout of a batch: all padded to the longest, to a few lengths, or several in one row
    batches: Literal["padded", "bucketed", "packed"] = "padded"
    buckets: Count = 4  # sequences: lengths of bucketed batches
    # sequences, standardise = each, predict = next: first rows whose mean and deviation are known; the loss is that
    # of the rows behind them
    known_steps: Annotated[int, Ge(2), Le(2**31 - 1)] = 10
    # sequences: held out are sequences at random (labels in equal shares), whole groups, the last in time, or as given
    split: Literal["random", "group", "time", "given"] = "random"
    folds: Annotated[int, Ge(0), Le(1_000)] = 0  # sequences: parts of a cross-validation; `fold` is held out; 0 = none
    sequence_column: str = "sequence"  # sequences CSV: column that names the sequence of a row
    order_column: str = ""  # sequences CSV: column that must rise within a sequence; empty = rows as in the file
    group_column: str = "group"  # sequences: column or key of the group, for split = "group"
    time_column: str = "time"  # sequences: column or key of the time, a number or an ISO date, for split = "time"
    split_column: str = "split"  # sequences: column or key that holds train or test, for split = "given"

    def __post_init__(self) -> None:
        check_fields(TaskSpec, vars(self))


@dataclass(frozen=True)
class Spec:
    """Everything that fixes a compiled program; hashable, so that it can be a static argument of `jax.jit`."""

    task: TaskSpec = field(default_factory=TaskSpec)
    cell: str = "elman"  # recurrent cell
    activation: str = "tanh"  # elman, leaky, gru_before, indrnn, antisymmetric, exprnn, lru, s4d: nonlinearity
    hidden: Count = 64  # hidden units per layer, H
    layers: Count = 1  # stacked layers; each reads the outputs of the layer below
    # hidden units of each layer where they differ, as 128,64: the last is `hidden`; empty = all have `hidden`
    layer_sizes: str = ""
    bidirectional: bool = False  # adds a second network that scans each window backwards
    layer_norm: bool = False  # layer normalisation of the input and recurrent terms of each gate
    dropout: bool = False  # recurrent dropout: one mask per window on the state that enters the recurrent product
    kernel_initializer: str = "xavier_normal"  # initializer of the input kernel
    recurrent_initializer: str = "orthogonal"  # initializer of the recurrent kernel
    # initial biases of the gates that keep the state: forget_bias (lstm; 0: gru), or lstm, gru: chrono = log u with u
    # uniform in 1 ... window - 1 for each unit, a spread of time constants; the lstm's input gate has the opposite
    gate_biases: Literal["constant", "chrono"] = "constant"
    window: Count = 25  # time steps of truncated back-propagation, T; of sequences it is the longest, set by the task
    batch: Count = 1  # parallel streams of the data, B
    gradient_window: Annotated[int, Ge(0)] = 0  # steps that gradients go back inside a window; 0 = all
    # consecutive windows, or random positions; sequences are shuffled in every epoch, whatever it is
    window_order: Literal["in_order", "random"] = "in_order"
    # state at the start of a window: that of the previous window, or the initial state
    carry: Literal["carried", "reset"] = "carried"
    initial_state: str = "zero"  # state where none is carried over
    reduction: Literal["sum", "mean", "last"] = "sum"  # over the steps of a window, of the optimised loss
    optimizer: str = "sgd"  # optimizer
    clip_elementwise: bool = False  # clip each element at clip_value, before clip_norm
    schedule: str = "constant"  # learning-rate schedule after the warm-up
    # symbols read in training: the data, or partly the model's predictions (sampled or argmax)
    scheduled_sampling: Literal["teacher", "sampled", "greedy"] = "teacher"
    # rise of the probability that a prediction is read
    sampling_schedule: Literal["linear", "exponential", "inverse_sigmoid"] = "linear"
    embedding: Annotated[int, Ge(0)] = 0  # size of learned vectors that stand for ids; 0 = none, ids are read directly
    tied: bool = False  # the readout of ids is the transposed embedding; embedding = hidden (twice if bidirectional)
    remat: Annotated[int, Ge(0)] = 0  # steps of a segment that is computed again on the way back; 0 = states are stored
    # min_gru, min_lstm, lru, s4d: windows by an associative scan, in parallel over time, instead of step by step
    parallel: bool = False
    # operands of matrix products; bfloat16 is added up in float32; states, weights and the optimizer stay in float32
    dtype: Literal["float32", "bfloat16"] = "float32"
    # windows of elman, gru, lstm: step by step, or by one call of C++ compiled when first used (CPU, other last bits)
    recurrence: Literal["scan", "fused"] = "scan"
    state_size: Count = 4  # s4d: complex numbers in the state of each hidden unit
    steps: Count = 30_000  # optimizer steps of a run
    validate_every: Annotated[int, Ge(0), Le(2**31 - 1)] = 0  # steps between validation checks; 0 = none
    log_every: Count = 25  # steps averaged into one row of the training log
    block: Count = 0  # runs that a device advances together, K; affects the last bits; default by size
    inputs: Annotated[int, Ge(0)] = 0  # D; set by the task
    outputs: Annotated[int, Ge(0)] = 0  # O; set by the task
    loss: str = "cross_entropy"  # set by the task

    def __post_init__(self) -> None:
        if not isinstance(self.task, TaskSpec):
            raise BadInput(f"Spec:task: got {type(self.task).__name__}; expected TaskSpec")
        check_fields(Spec, {name: value for name, value in vars(self).items() if name != "task"})
        if self.layer_sizes:
            check_layer_sizes(self.layer_sizes, self.layers, self.hidden)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The hidden units of each layer, from the first to the last."""
        return tuple(map(int, self.layer_sizes.split(","))) if self.layer_sizes else (self.hidden,) * self.layers

    @property
    def program(self) -> "Spec":
        """This spec with default initializers: specs that agree here share one training program."""
        return replace(self, **{name: getattr(Spec, name) for name in START_FIELDS})


START_FIELDS = ("kernel_initializer", "recurrent_initializer", "gate_biases")


class HParamFields(NamedTuple):
    """The fields of `HParams` with their rules and defaults."""

    seed: Seed = 42
    learning_rate: Positive = 0.01  # learning rate
    clip_norm: PositiveOrInf = 5.0  # largest norm of the gradient; inf = off
    clip_steps: PositiveOrInf = math.inf  # step after which clip_norm is off; inf = never
    clip_value: PositiveOrInf = math.inf  # with clip_elementwise = true: largest gradient element; inf = off
    kernel_trainable: Probability = 1.0  # factor on the gradients of input kernels and biases; 0 = frozen
    recurrent_trainable: Probability = 1.0  # factor on the gradients of recurrent kernels; 0 = frozen
    readout_trainable: Probability = 1.0  # factor on the gradients of the readout; 0 = frozen
    kernel_gain: Positive = 1.0  # factor on the initial input kernel
    recurrent_gain: Positive = 1.0  # factor on the initial recurrent kernel
    forget_bias: Finite = 1.0  # lstm, min_lstm, slstm: initial bias of the forget gate
    leak: Annotated[float, Gt(0), Le(1)] = 0.5  # leaky: leak rate, dt / tau
    dropout_rate: Fraction = 0.0  # with dropout = true: probability that a unit is dropped
    initial_state_scale: NonNegative = 1.0  # scale of initial_state = constant, random, fixed, learned
    momentum: Fraction = 0.9  # momentum, nesterov: momentum coefficient
    rms_decay: Fraction = 0.9  # rmsprop: decay of the squared-gradient average
    adam_b1: Fraction = 0.9  # adam, adamw: decay of the gradient average
    adam_b2: Fraction = 0.999  # adam, adamw: decay of the squared-gradient average
    weight_decay: NonNegative = 0.0001  # adamw: decoupled weight decay
    warmup_steps: NonNegative = 0.0  # steps of linear warm-up; 0 = off
    # step, exponential, cosine: steps until the rate is decay_factor of its start; 0 = all steps after the warm-up
    decay_steps: NonNegative = 10_000.0
    decay_factor: Annotated[float, Gt(0), Le(1)] = 0.5  # step, exponential, cosine, plateau: factor on the rate
    plateau_checks: PositiveOrInf = 2.0  # plateau: validation checks without improvement before the rate falls
    sampling_probability: Probability = 0.25  # scheduled_sampling: final probability that a prediction is read
    sampling_steps: Positive = 10_000.0  # sampling_schedule: time scale in steps
    patience: PositiveOrInf = math.inf  # validation checks without improvement before a run stops; inf = off
    step_size: Positive = 0.1  # antisymmetric, cornn: time step of the differential equation
    damping: NonNegative = 0.1  # antisymmetric, cornn: friction
    stiffness: NonNegative = 1.0  # cornn: force back to 0


class HParams(HParamFields):
    """Settings that may differ between the runs of one program: scalars here, arrays [R] inside compiled functions.

    Disabled values are encoded as numbers (e.g. inf). Python values are checked when they are named, as in
    `HParams(learning_rate=0.1)` and `_replace`; arrays and traced values are not, nor is a tree that JAX rebuilds from
    all its leaves.
    """

    __slots__ = ()

    if not TYPE_CHECKING:  # the constructor's signature is that of the fields

        def __new__(cls, *values: Any, **named: Any) -> Self:
            if len(values) < len(cls._fields):
                _check_python_values(dict(zip(cls._fields, values, strict=False)) | named)
            return super().__new__(cls, *values, **named)

        def _replace(self, **named: Any) -> Self:
            _check_python_values(named)
            return super()._replace(**named)


def resolve_decay(spec: Spec, hp: HParams) -> HParams:
    """Python hyperparameters with the number of steps that decay_steps = 0 stands for; others as they are."""
    return hp if hp.decay_steps else hp._replace(decay_steps=float(max(spec.steps - hp.warmup_steps, 1)))


def _check_python_values(values: Mapping[str, Any]) -> None:
    known = {name: value for name, value in values.items() if name in HParamFields._fields}  # others are a TypeError
    python = {name: value for name, value in known.items() if isinstance(value, int | float | str | None)}
    check_fields(HParams, python, float32=True)
