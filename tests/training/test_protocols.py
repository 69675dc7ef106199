"""Frozen parts, a clip for a while, a gradient cut inside a window; and seeds, steps and arms by choice."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.config.load import load_study
from rnnjax.errors import BadInput
from rnnjax.networks.model import build_network
from rnnjax.settings import HParams, Spec
from rnnjax.studies.prepare import prepare_study
from rnnjax.training.batching import sequential_window
from rnnjax.training.loss import window_losses
from rnnjax.training.state import StepMetrics, TrainState, init_state
from rnnjax.training.step import WindowGradient, compute_gradient, train_chunk, train_step
from rnnjax.types import WindowData

V, T = 5, 6
SPEC = Spec(inputs=V, outputs=V, hidden=7, window=T, log_every=1)


def text(windows: int = 3) -> WindowData:
    ids = np.random.default_rng(1).integers(V, size=(windows * T + 1, 1), dtype=np.int32)
    return WindowData(ids[:-1].reshape(windows, T, 1), ids[1:].reshape(windows, T, 1))


@partial(jax.jit, static_argnums=(0, 1))
def chunk(spec: Spec, rows: int, hp: HParams, state: TrainState, steps: int) -> tuple[TrainState, StepMetrics]:
    return train_chunk(spec, rows, hp, text(), state, jnp.int32(steps))


@partial(jax.jit, static_argnums=0)
def start(spec: Spec, hp: HParams) -> TrainState:
    return init_state(spec, hp)


# What is trained


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["elman", "lstm"])
def test_what_is_frozen_stays_and_all_else_moves(cell: str) -> None:
    spec = replace(SPEC, cell=cell, layers=2, initial_state="learned")
    parts = {"kernel": "kernel_trainable", "recurrent_kernel": "recurrent_trainable", "readout": "readout_trainable"}
    for frozen, field in parts.items():
        hp = HParams(seed=1)._replace(**{field: 0.0})
        before = start(spec, hp)
        after, row = chunk(spec, 3, hp, before, 3)
        leaves = jax.tree_util.tree_leaves_with_path(before.params)
        for (steps, old), new in zip(leaves, jax.tree.leaves(after.params), strict=True):
            path, changed = jax.tree_util.keystr(steps), bool(np.any(old != new))
            of_readout = path.startswith("['readout']")
            of_recurrent = path.endswith("['recurrent_kernel']")
            part = "readout" if of_readout else "recurrent_kernel" if of_recurrent else "kernel"
            assert changed == (part != frozen), (frozen, path)
        assert np.all(row.gradient_norm > 0)


@pytest.mark.slow
def test_the_norm_is_that_of_what_is_trained() -> None:
    """With all but the readout frozen it is the norm of the readout's own gradient."""
    hp = HParams(seed=1, kernel_trainable=0.0, recurrent_trainable=0.0)
    state = start(SPEC, hp)
    _, row = jax.jit(partial(train_step, SPEC))(hp, text(), state)
    window, _ = sequential_window(hp, text(), jnp.int32(0))

    def loss(readout: dict) -> jax.Array:
        params = state.params | {"readout": readout}
        _, outputs_TBO, _ = build_network(SPEC, hp).apply(params, state.carry, window.inputs_WTB)
        return window_losses(SPEC, outputs_TBO, window)[0]

    gradient = jax.jit(jax.grad(loss))(state.params["readout"])
    norm = np.sqrt(sum(np.sum(np.square(leaf)) for leaf in jax.tree.leaves(gradient)))
    np.testing.assert_allclose(row.gradient_norm, norm, rtol=1e-5)


def test_a_clip_ends_after_its_steps() -> None:
    hp = HParams(seed=1, clip_norm=1e-3, clip_steps=2.0)
    _, record = chunk(SPEC, 4, hp, start(SPEC, hp), 4)
    assert record.clip_share.tolist() == [1, 1, 0, 0]
    np.testing.assert_allclose(record.update_norm[:2], 1e-5, rtol=1e-4)
    np.testing.assert_allclose(record.update_norm[2:], 0.01 * record.gradient_norm[2:], rtol=1e-4)


# How far a gradient goes back


@partial(jax.jit, static_argnums=0)
def whole_gradient(spec: Spec, hp: HParams, state: TrainState) -> WindowGradient:
    return compute_gradient(spec, hp, text(), state)


def gradient(gradient_window: int) -> jax.Array:
    spec = replace(SPEC, gradient_window=gradient_window, reduction="last")
    hp = HParams(seed=1)
    return whole_gradient(spec, hp, start(SPEC, hp)).gradient["layer_0"]["recurrent_kernel"]


@pytest.mark.slow
def test_a_gradient_is_cut_inside_the_window() -> None:
    """The last step's loss back through two steps only: as from a window of two that starts at the carried state."""
    hp = HParams(seed=1)
    params = start(SPEC, hp).params
    window, _ = sequential_window(hp, text(), jnp.int32(0))
    model = build_network(SPEC, hp)

    def last_loss(kernel: jax.Array) -> jax.Array:
        learned = params | {"layer_0": params["layer_0"] | {"recurrent_kernel": kernel}}
        carry, _, _ = model.apply(params, model.carry(params, jax.random.key(0), 1), window.inputs_WTB[:4])
        _, outputs_TBO, _ = model.apply(learned, carry, window.inputs_WTB[4:])
        return window_losses(
            replace(SPEC, reduction="last"), outputs_TBO, window._replace(targets_WTB=window.targets_WTB[4:])
        )[0]

    np.testing.assert_allclose(
        gradient(2), jax.jit(jax.grad(last_loss))(params["layer_0"]["recurrent_kernel"]), atol=1e-6
    )
    assert np.abs(gradient(2) - gradient(0)).max() > 1e-3
    np.testing.assert_array_equal(gradient(T), gradient(0))


@pytest.mark.slow
def test_pieces_say_what_the_whole_window_says() -> None:
    hp = HParams(seed=1)
    whole = whole_gradient(SPEC, hp, start(SPEC, hp))
    pieces = whole_gradient(replace(SPEC, gradient_window=4), hp, start(SPEC, hp))  # of 4 and 2 steps
    np.testing.assert_allclose(pieces.loss, whole.loss, rtol=1e-6)
    np.testing.assert_allclose(pieces.carry["layer_0"], whole.carry["layer_0"], atol=1e-6)


# Which arms, seeds and steps

STUDY = """
question = "?"
seeds = 5
baseline = "norm=5"
[base]
steps = 1000
[[axes]]
clip_norm = [1.0, 5.0]
[[axes]]
clip_norm = [9.0]
steps = [4000]
seeds = 3
[[questions]]
text = "?"
metric = "final_loss"
[[figures]]
form = "curve"
metric = "loss"
title = "t"
arms = ["norm=1", "norm=9,*"]
[[claims]]
id = "c"
text = "s"
[[claims.criteria]]
rule = "difference"
metric = "final_loss"
arms = ["norm=1"]
compared_to = ["norm=5"]
[[claims.criteria]]
rule = "bound"
metric = "final_loss"
arms = ["norm=5", "norm=9,*"]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "study.toml"
    file.write_text(STUDY)
    return file


def test_a_table_of_axes_may_take_fewer_seeds(path: Path) -> None:
    study = load_study(path)
    assert [arm.seeds(study.seeds) for arm in study.arms] == [[42, 43, 44, 45, 46]] * 2 + [[42, 43, 44]]
    assert [arm["seeds"] for arm in study.config["arms"].values()] == [5, 5, 3]
    fewer = load_study(path, seeds=2)
    assert [arm.seeds(fewer.seeds) for arm in fewer.arms] == [[42, 43]] * 3
    with pytest.raises(BadInput, match="13 runs; limit 12"):
        load_study(path, max_runs=12)
    path.write_text(STUDY.replace("seeds = 3", "seeds = 0"))
    with pytest.raises(BadInput, match="axes.seeds: got 0; expected integer >= 1"):
        load_study(path)


def test_fewer_steps_shorten_all_arms_in_proportion(path: Path) -> None:
    assert [arm.spec.steps for arm in load_study(path).arms] == [1000, 1000, 4000]
    shorter = load_study(path, ["steps=100"])
    assert [arm.spec.steps for arm in shorter.arms] == [100, 100, 400]
    assert [arm.name for arm in shorter.arms] == [arm.name for arm in load_study(path).arms]
    assert [arm.axes["steps"] for arm in shorter.arms] == [100, 100, 400]
    with pytest.raises(BadInput, match="steps: got 'few'"):
        load_study(path, ["steps=few"])


def test_some_arms_and_what_is_said_of_them(path: Path) -> None:
    study = load_study(path, patterns=["norm=1", "norm=5"])
    assert [arm.name for arm in study.arms] == ["norm=1", "norm=5"]
    assert study.file.baseline == "norm=5"
    assert [figure.arms for figure in study.file.figures] == [["norm=1"]]
    assert [criterion.rule for criterion in study.file.claims[0].criteria] == ["difference"]
    alone = load_study(path, patterns=["norm=1"])
    assert (alone.file.baseline, alone.file.claims) == ("", [])
    with pytest.raises(BadInput, match="--arm: got 'norm=2'; expected one of: norm=5, norm=1, 'norm=9,steps=4000'"):
        load_study(path, patterns=["norm=2"])


def test_probes_of_the_arms_left_out_are_no_mistake(tmp_path: Path) -> None:
    """A probe of series has nothing to look at in a text; refused is only one that no arm of the file can have."""
    path = tmp_path / "two.toml"
    axes = "[[axes]]\ntask.name = ['grammar', 'series']\n[probes]\nbatches = 1\nvalidation = 1\n"
    path.write_text("question = '?'\nseeds = 1\n[base]\nhidden = 3\nwindow = 4\nsteps = 4\n" + axes)
    assert len(prepare_study(load_study(path)).study.arms) == 2
    assert [arm.name for arm in prepare_study(load_study(path, patterns=["grammar"])).study.arms] == ["grammar"]
    path.write_text(path.read_text().replace(", 'series'", ""))
    with pytest.raises(BadInput, match="probes.batches: task.name: got 'grammar'; expected 'series'"):
        prepare_study(load_study(path))
