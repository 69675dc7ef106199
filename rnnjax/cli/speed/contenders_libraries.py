"""Contenders of other libraries: Equinox and Keras in training, onnxruntime in evaluation. None need be installed."""

import os
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnnjax import devices
from rnnjax.cli.speed.contenders import (
    CLIP_NORM,
    LEARNING_RATE,
    LEAVES,
    VOCABULARY,
    Size,
    Stepper,
    descent,
    looped,
    windows,
)

# Equinox


def equinox_network(cell: str, hidden: int, key: jax.Array) -> Any:
    """(cell, readout); Equinox has no Elman cell, so that one is two of its linear layers."""
    import equinox as eqx

    class Elman(eqx.Module):  # type: ignore[misc]  # where Equinox is not installed
        inner: eqx.nn.Linear
        outer: eqx.nn.Linear

        def __call__(self, x: jax.Array, h: jax.Array) -> jax.Array:
            return jnp.tanh(self.inner(x) + self.outer(h))

    cell_key, readout_key = jax.random.split(key)
    if cell == "elman":
        inner = eqx.nn.Linear(VOCABULARY, hidden, key=cell_key)
        outer = eqx.nn.Linear(hidden, hidden, use_bias=False, key=jax.random.fold_in(cell_key, 1))
        recurrent: Any = Elman(inner, outer)
    else:
        recurrent = {"lstm": eqx.nn.LSTMCell, "gru": eqx.nn.GRUCell}[cell](VOCABULARY, hidden, key=cell_key)
    return recurrent, eqx.nn.Linear(hidden, VOCABULARY, key=readout_key)


def equinox_loss(static: Any, params: Any, carry: Any, x_TB: Any, y_TB: Any) -> tuple[Any, Any]:
    """Args: params, static: the arrays of a network, and the rest of it."""
    import equinox as eqx

    cell, readout = eqx.combine(params, static)

    def step(carry: Any, x_BV: Any) -> tuple[Any, Any]:
        carry = jax.vmap(cell)(x_BV, carry)
        return carry, carry[0] if isinstance(carry, tuple) else carry

    carry, h_TBH = jax.lax.scan(step, carry, jax.nn.one_hot(x_TB, VOCABULARY))
    losses = optax.softmax_cross_entropy_with_integer_labels(jax.vmap(jax.vmap(readout))(h_TBH), y_TB)
    return losses.sum() / x_TB.shape[1], carry


def zero_carry(size: Size) -> Any:
    """h, or (h, c), [B, H]."""
    zero = jnp.zeros((size.batch, size.hidden))
    return (zero,) * LEAVES[size.cell] if size.cell == "lstm" else zero


def equinox_one(size: Size) -> tuple[Stepper, int]:
    """Cells of Equinox in a scan, and optax, compiled, one run at a time as in its documentation."""
    import equinox as eqx

    params, static = eqx.partition(equinox_network(size.cell, size.hidden, jax.random.key(0)), eqx.is_inexact_array)
    optimizer, train_step = descent(size, partial(equinox_loss, static))
    return looped(train_step, (params, optimizer.init(params), zero_carry(size))), 1


# Keras


def import_keras() -> Any:
    """Keras, which reads its back end from the environment when it is imported."""
    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    return keras


def keras_network(cell: str, hidden: int) -> Any:
    """A model of [x_BTV, the state's parts] -> [logits_BTV, the parts after the window]."""
    keras = import_keras()
    kinds = {"elman": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
    x, state = keras.Input((None, VOCABULARY)), [keras.Input((hidden,)) for _ in range(LEAVES[cell])]
    h, *after = kinds[cell](hidden, return_sequences=True, return_state=True)(x, initial_state=state)
    return keras.Model([x, *state], [keras.layers.Dense(VOCABULARY)(h), *after])


def keras_loss(model: Any, params: Any, fixed: Any, carry: Any, x_TB: Any, y_TB: Any) -> tuple[Any, Any]:
    """Args: params, fixed: the trainable variables' values, and the others'."""
    x_BTV = jax.nn.one_hot(x_TB.T, VOCABULARY)
    (logits, *carry), fixed = model.stateless_call(params, fixed, [x_BTV, *carry])
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, y_TB.T)
    return losses.sum() / x_TB.shape[1], (fixed, tuple(carry))


def keras_one(size: Size) -> tuple[Stepper, int]:
    """Layers and SGD of Keras in a compiled loop of its stateless functions, one run at a time."""
    keras = import_keras()
    model, optimizer = (
        keras_network(size.cell, size.hidden),
        keras.optimizers.SGD(LEARNING_RATE, global_clipnorm=CLIP_NORM),
    )
    optimizer.build(model.trainable_variables)
    inputs, targets = (jnp.asarray(ids_WTB) for ids_WTB in windows(size)[:2])

    def train_step(i: Any, state: Any) -> Any:
        params, fixed, of_optimizer, carry = state
        window = inputs[i % len(inputs)], targets[i % len(inputs)]
        gradient, (fixed, carry) = jax.grad(partial(keras_loss, model), has_aux=True)(params, fixed, carry, *window)
        params, of_optimizer = optimizer.stateless_apply(of_optimizer, gradient, params)
        return params, fixed, of_optimizer, carry

    variables = model.trainable_variables, model.non_trainable_variables, optimizer.variables
    zero = (jnp.zeros((size.batch, size.hidden)),) * LEAVES[size.cell]
    values = [[jnp.asarray(variable.value) for variable in each] for each in variables]
    return looped(train_step, (*values, zero)), 1


# Evaluation


def ours_evaluation(size: Size) -> tuple[Stepper, int]:
    """rnnjax: the logits of window after window, of all runs in blocks, from the state before it."""
    from rnnjax.networks.model import build_network
    from rnnjax.settings import HParams
    from rnnjax.training.parallel import Run, RunBlocks, block_width, init_params

    spec = training_spec(size)
    model, data = build_network(spec, HParams()), windows(size)
    runs = [Run(0, spec, HParams(seed=seed)) for seed in range(size.runs)]
    blocks = RunBlocks(size.runs, min(block_width(spec), -(-size.runs // len(jax.devices()))))

    def windows_of_run(params: Any, carry: Any, inputs_WTB: Any, steps: Any) -> Any:
        def evaluate(i: Any, state: Any) -> Any:
            carry, logits, _ = model.apply(params, state[0], inputs_WTB[i % len(inputs_WTB)])
            return carry, logits

        empty = jnp.zeros((size.window, size.batch, VOCABULARY))
        return jax.lax.fori_loop(0, steps, evaluate, (carry, empty))

    params_R = init_params(runs)
    carry = jax.eval_shape(lambda key: model.carry({}, key, size.batch), jax.random.key(0))
    carry_R = jax.tree.map(lambda leaf: jnp.zeros((size.runs, *leaf.shape)), carry)
    program = blocks.compile(windows_of_run, batched=2)
    rounds = list(zip(blocks.scatter(params_R), blocks.scatter(carry_R), strict=True))
    inputs = jax.device_put(data.inputs_WTB, blocks.shared)

    def step(steps: int) -> None:
        jax.block_until_ready([program(*of_round, inputs, jnp.int32(steps)) for of_round in rounds])

    return step, size.runs


def training_spec(size: Size) -> Any:
    """The settings of rnnjax at this size."""
    from rnnjax.settings import Spec

    given = {name: value for name, value in size._asdict().items() if name != "runs"}
    return Spec(**given, inputs=VOCABULARY, outputs=VOCABULARY)


def onnxruntime_one(size: Size) -> tuple[Stepper, int]:
    """The same network written by `to_onnx`, in onnxruntime on all cores, one run at a time."""
    session, inputs_WTBV = onnx_session(size), np.eye(VOCABULARY, dtype=np.float32)[windows(size).inputs_WTB]
    parts = [each.name.removeprefix("final_") for each in session.get_outputs()[1:]]
    held = [{f"initial_{part}": np.zeros((1, size.batch, size.hidden), np.float32) for part in parts}]

    def step(steps: int) -> None:
        for i in range(steps):
            _, *after = session.run(None, {"x": inputs_WTBV[i % len(inputs_WTBV)]} | held[0])
            held[0] = {f"initial_{part}": value for part, value in zip(parts, after, strict=True)}

    return step, 1


def onnx_session(size: Size) -> Any:
    """A network with its starting weights in onnxruntime, whose threads do not spin while they wait."""
    import onnxruntime

    import rnnjax as rj
    from rnnjax.networks.model import build_network
    from rnnjax.studies.load_networks import LoadedNetwork

    spec = training_spec(size)
    params = jax.jit(build_network(spec, rj.HParams()).init)(jax.random.key(0))
    model = rj.to_onnx(rj.Network(LoadedNetwork("", 0, spec, rj.HParams(), params, "")))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = devices.cpu_count(), 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
