"""The two kinds of setting. Defaults and ranges live here and nowhere else.

A field of `Spec` fixes the compiled program; a field of `HParams` is batched over the runs of one program.
The rule of a field (its type and range) stands in its annotation and is checked wherever a value enters: in a study
file, after `--set`, and where one of these classes is made in Python. Names of tables (`cell`, `optimizer` ...) are
checked where the table is known. Nothing heavy is imported here, so that a bad value is refused before JAX is loaded.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Self, get_type_hints

from annotated_types import Ge, Gt, Le, Lt

from rnnjax.checks import check_value
from rnnjax.errors import BadInput

LOSS_UNITS = {"cross_entropy": "nats per character", "squared_error": "squared units of the target"}

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
    """The data and what is to be predicted. A task ignores the fields of other tasks."""

    name: str = "grammar"  # grammar, text, series, recall
    characters: Count = 18_710  # grammar: length of the training text
    corpus_seed: Seed = 0  # grammar: which text is drawn
    determiner_probability: Probability = 0.5  # grammar: of each optional "the"
    extra_letters: str = ""  # grammar: letters that the vocabulary has besides those of its words
    path: str = ""  # text, series: the file; empty is the Markdown text that comes with rnnjax, or a generated series
    encoding: str = "utf-8"  # text, series: of the file
    validation: Share = 0.1  # held out: the end of a file, or that share of the training part drawn afresh
    # series: generated, or "sunspots", the yearly numbers from 1700 to 2008, a file that comes with rnnjax
    series: Literal["sines", "ar", "mackey_glass", "walk", "noise", "uniform", "sunspots"] = "sines"
    recall: Literal["copy", "adding"] = "copy"  # recall: which problem
    length: Count = 5_000  # series: steps to train on; recall adding: steps of one example
    columns: str = ""  # series: names of a CSV file's columns, with commas between; empty = all
    scale: Positive = 1.0  # series: multiplies what is generated or read
    offset: Finite = 0.0  # series: is then added
    redundancy: Count = 1  # series: the training part is its first 1/redundancy, repeated that many times
    # series: by mean and deviation of the training part; targets: a network then reads raw numbers
    standardise: Literal["all", "targets", "none"] = "all"
    loss_steps: Literal["every", "last"] = "every"  # series: which steps of a window are predicted from
    time_axis: Literal["time", "batch"] = "time"  # series: batch = each time step reads another series of the batch
    copy_delay: Count = 10  # recall copy: steps between an input and its target
    symbols: Annotated[int, Ge(2), Le(26)] = 8  # recall copy
    examples: Count = 2_000  # recall adding: to train on
    shortest: Annotated[float, Gt(0), Le(1)] = 1.0  # recall adding: examples end after this share of `length` or later

    def __post_init__(self) -> None:
        check_fields(TaskSpec, vars(self))


@dataclass(frozen=True)
class Spec:
    """Everything that fixes a compiled program; hashable, so that it can be a static argument of `jax.jit`."""

    task: TaskSpec = field(default_factory=TaskSpec)
    cell: str = "elman"
    activation: str = "tanh"  # of elman and leaky
    hidden: Count = 64  # H
    layers: Count = 1  # each layer reads the outputs of the layer below
    bidirectional: bool = False  # a second network reads each window backwards
    layer_norm: bool = False  # of the input u and of the recurrent input r of each gate
    dropout: bool = False  # of h before the recurrent product, one mask for a whole window
    kernel_initializer: str = "xavier_normal"  # of the input kernel
    recurrent_initializer: str = "orthogonal"
    window: Count = 25  # T, steps of truncated back-propagation through time
    batch: Count = 1  # B, parallel streams of the text
    gradient_window: Annotated[int, Ge(0)] = 0  # steps that a gradient goes back inside a window; 0 = all of them
    window_order: Literal["in_order", "random"] = "in_order"  # consecutive windows of a stream, or random ones
    carry: Literal["carried", "reset"] = "carried"  # the state before a window
    initial_state: str = "zero"  # the state where nothing is carried
    reduction: Literal["sum", "mean", "last"] = "sum"  # of the losses [T], to the optimised loss
    optimizer: str = "sgd"
    clip_elementwise: bool = False  # each element of the gradient by clip_value, before the whole by clip_norm
    schedule: str = "constant"  # of the learning rate, after the warm-up
    # inputs in training: those of the text (teacher forcing), or in part samples, or the argmax, of the network
    scheduled_sampling: Literal["teacher", "sampled", "greedy"] = "teacher"
    sampling_schedule: Literal["linear", "exponential", "inverse_sigmoid"] = "linear"  # of the probability of a sample
    steps: Count = 30_000  # optimizer steps
    validate_every: Annotated[int, Ge(0), Le(2**31 - 1)] = 0  # steps between checks of the held-out loss; 0 = none
    log_every: Count = 25  # steps averaged into one row of the record
    block: Count = 0  # K, runs that one device advances together; part of a run's numerical identity; 0 = by its size
    inputs: Annotated[int, Ge(0)] = 0  # D; 0 = whatever the task has
    outputs: Annotated[int, Ge(0)] = 0  # O; 0 = whatever the task has
    loss: str = "cross_entropy"  # whatever the task has

    def __post_init__(self) -> None:
        if not isinstance(self.task, TaskSpec):
            raise BadInput(f"Spec:task: got {type(self.task).__name__}; expected TaskSpec")
        check_fields(Spec, {name: value for name, value in vars(self).items() if name != "task"})

    @property
    def program(self) -> "Spec":
        """This spec with default initializers: specs that agree here share one training program."""
        return replace(self, **{name: getattr(Spec, name) for name in START_FIELDS})


START_FIELDS = ("kernel_initializer", "recurrent_initializer")


class HParamFields(NamedTuple):
    """The fields of `HParams` with their rules and defaults."""

    seed: Seed = 42
    learning_rate: Positive = 0.01
    clip_norm: PositiveOrInf = 5.0  # of the whole gradient; inf = off
    clip_steps: PositiveOrInf = math.inf  # steps after which clip_norm is off; inf = never
    clip_value: PositiveOrInf = math.inf  # of each element, with clip_elementwise = true; inf = off
    kernel_trainable: Probability = 1.0  # multiplies the gradient of input kernels and biases; 0 = frozen
    recurrent_trainable: Probability = 1.0  # of the recurrent kernels
    readout_trainable: Probability = 1.0  # of the readout
    kernel_gain: Positive = 1.0  # multiplies the kernel initializer
    recurrent_gain: Positive = 1.0  # multiplies the recurrent initializer
    forget_bias: Finite = 1.0  # lstm: initial bias of the forget gate
    leak: Annotated[float, Gt(0), Le(1)] = 0.5  # leaky: dt / tau
    dropout_rate: Fraction = 0.0  # with dropout = true
    initial_state_scale: NonNegative = 1.0  # of initial_state = constant, random, fixed and learned
    momentum: Fraction = 0.9  # momentum, nesterov
    rms_decay: Fraction = 0.9  # rmsprop
    adam_b1: Fraction = 0.9  # adam, adamw
    adam_b2: Fraction = 0.999  # adam, adamw
    weight_decay: NonNegative = 0.0001  # adamw
    warmup_steps: NonNegative = 0.0  # the rate rises in a line; 0 = off
    decay_steps: Positive = 10_000.0  # step, exponential, cosine: until the rate has fallen to decay_factor of itself
    decay_factor: Annotated[float, Gt(0), Le(1)] = 0.5  # step, exponential, cosine, plateau
    plateau_checks: PositiveOrInf = 2.0  # plateau: checks without a better held-out loss until the rate falls
    sampling_probability: Probability = 0.25  # of a sampled or greedy input, at the end of the schedule
    sampling_steps: Positive = 10_000.0  # sampling_schedule: its scale
    patience: PositiveOrInf = math.inf  # checks without a better held-out loss until a run stops; inf = off


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


def _check_python_values(values: Mapping[str, Any]) -> None:
    known = {name: value for name, value in values.items() if name in HParamFields._fields}  # others are a TypeError
    python = {name: value for name, value in known.items() if isinstance(value, int | float | str | None)}
    check_fields(HParams, python, float32=True)
