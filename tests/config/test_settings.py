"""Settings are checked where they are made in Python, by the rules and in the words of a study file."""

import copy
import math
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.config.fields import FIELDS, validate_field
from rnnjax.errors import BadInput
from rnnjax.networks.cells import build_spec_cell
from rnnjax.networks.model import build_network
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.settings.checks import lookup
from rnnjax.training.optimizers import build_optimizer
from rnnjax.training.schedules import learning_rate_at

REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: Spec(cell="nonsense", hidden=-3), "Spec:hidden: got -3; expected integer >= 1 and <= 2147483647"),
    (lambda: replace(Spec(), window=0), "Spec:window: got 0; expected integer >= 1 and <= 2147483647"),
    (lambda: Spec(layers=True), "Spec:layers: got boolean true; expected integer >= 1 and <= 2147483647"),
    (lambda: Spec(layer_norm=1), "Spec:layer_norm: got 1; expected true or false"),  # type: ignore[arg-type]
    (lambda: Spec(task={}), "Spec:task: got dict; expected TaskSpec"),  # type: ignore[arg-type]
    (lambda: TaskSpec(loss_steps="lats"), "TaskSpec:loss_steps: got 'lats'; expected one of: every, last"),  # type: ignore[arg-type]
    (
        lambda: TaskSpec(standardise=False),  # type: ignore[arg-type]
        "TaskSpec:standardise: got boolean false; expected one of: all, targets, none, each",
    ),
    (
        lambda: HParams(learning_rate=-1),
        "HParams:learning_rate: got -1; expected number > 0 and finite in float32",
    ),
    (
        lambda: HParams()._replace(learning_rate=1e-60),
        "HParams:learning_rate: got 1e-60; expected number > 0 and finite in float32",
    ),
    (lambda: HParams(-1), "HParams:seed: got -1; expected integer >= 0 and <= 4294967295"),
    (lambda: HParams(leak="half"), "HParams:leak: got 'half'; expected number > 0 and <= 1 in float32"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_a_bad_value_is_refused_where_it_is_given(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(BadInput) as refusal:
        make()
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    ("name", "value"), [("hidden", -3), ("learning_rate", 0), ("leak", 2), ("task.loss_steps", "lats"), ("carry", 1)]
)
def test_a_study_file_and_python_give_one_message(name: str, value: Any) -> None:
    kind = {"task": TaskSpec, "spec": Spec, "hp": HParams}[FIELDS[name].owner]
    with pytest.raises(BadInput) as of_file:
        validate_field(name, value, "study.toml")
    with pytest.raises(BadInput) as of_python:
        kind(**{name.removeprefix("task."): value})
    assert str(of_file.value).removeprefix(f"study.toml:{name}") == str(of_python.value).partition(":")[2].removeprefix(
        name.removeprefix("task.")
    )


def test_good_values_are_kept_as_they_are_given() -> None:
    assert TaskSpec(scale=2).scale == 2 and HParams(learning_rate=1).learning_rate == 1
    assert HParams(clip_norm=math.inf, seed=2**32 - 1) == HParams()._replace(clip_norm=math.inf, seed=2**32 - 1)
    assert Spec(block=0) == Spec()  # a default is no value that a file may give: "by its size"
    with pytest.raises(TypeError, match="nonsense"):
        HParams(nonsense=1)  # type: ignore[call-arg]


def test_hparams_are_a_named_tuple_and_a_tree_of_arrays() -> None:
    hp = HParams(leak=0.25, seed=7)
    assert pickle.loads(pickle.dumps(hp)) == copy.deepcopy(hp) == hp and type(copy.copy(hp)) is HParams
    assert HParams._make(hp) == hp and HParams._field_defaults["leak"] == 0.5
    assert list(get_type_hints(HParams)) == list(HParams._fields) == list(hp._asdict())
    assert jax.tree.structure(hp).num_leaves == len(hp)
    assert type(jax.tree.map(lambda leaf: 0, hp)) is HParams  # JAX puts what it likes into a tree
    columns = HParams._make(jnp.arange(1.0, 4.0) for _ in hp)
    doubled = jax.vmap(jax.jit(lambda hp: hp._replace(leak=hp.leak * 2)))(columns)
    assert type(doubled) is HParams
    np.testing.assert_array_equal(doubled.leak, [2, 4, 6])
    assert float(jax.jit(lambda hp: hp.leak)(hp)) == 0.25


SIZED = Spec(inputs=3, outputs=3, hidden=4, window=2)
UNKNOWN_NAMES: list[tuple[Callable[[], Any], str, str]] = [
    (lambda: build_spec_cell(replace(SIZED, cell="elmann"), HParams()), "cell: got 'elmann'", "elman"),
    (lambda: build_spec_cell(replace(SIZED, activation="tahn"), HParams()), "activation: got 'tahn'", "tanh"),
    (
        lambda: build_network(replace(SIZED, recurrent_initializer="orthogonl"), HParams()),
        "recurrent_initializer: got 'orthogonl'",
        "orthogonal",
    ),
    (
        lambda: build_network(replace(SIZED, initial_state="zeros"), HParams()).carry({}, jax.random.key(0), 1),
        "initial_state: got 'zeros'",
        "zero",
    ),
    (lambda: build_optimizer(replace(SIZED, optimizer="addam"), HParams()), "optimizer: got 'addam'", "adam"),
    (lambda: learning_rate_at("cosin", HParams(), jnp.int32(0)), "schedule: got 'cosin'", "cosine"),
]


@pytest.mark.parametrize(("make", "got", "nearest"), UNKNOWN_NAMES)
def test_a_name_that_no_table_has_is_one_line(make: Callable[[], Any], got: str, nearest: str) -> None:
    with pytest.raises(BadInput, match=rf"^{got}; expected one of: .*\. Did you mean '{nearest}'\?$"):
        make()


def test_lookup_of_a_name_like_no_other_names_them_all() -> None:
    assert lookup({"a": 1}, "a", "field") == 1
    with pytest.raises(BadInput, match=r"^field: got 'zzz'; expected one of: alpha, beta\.$"):
        lookup({"alpha": 1, "beta": 2}, "zzz", "field")
