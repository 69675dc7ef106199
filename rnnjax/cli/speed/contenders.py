"""What takes part in the benchmark: rnnjax, and what one would write or install instead of it; here those in JAX.

Each contender is a plain program as its users write it, and all do the same work: the same windows in order, symbols
of V = 24, cross entropy summed over T and averaged over B, a clip of the whole gradient's norm at 5, SGD at 0.01, a
state that is carried and never differentiated through. Those written by hand (plain_vmap, torch_bmm, numpy) share one
tree of parameters: kernel [V, G*H], recurrent [H, G*H], bias [G*H], readout [H, V], readout_bias [V] and, for the GRU,
inner_bias [H]; and one order of gates: LSTM i, f, g, o; GRU r, z, n.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

VOCABULARY, CHARACTERS = 24, 18_710
LEARNING_RATE, CLIP_NORM = 0.01, 5.0
GATES = {"elman": 1, "lstm": 4, "gru": 3}
LEAVES = {"elman": 1, "lstm": 2, "gru": 1}  # of the carry, which is (h,) or (h, c)
EVALUATION = ("rnnjax_evaluation", "onnxruntime")  # contenders that only read windows, of which the first is ours


class Size(NamedTuple):
    """What is trained: the cell, H, T, B and the number of runs."""

    cell: str = "elman"
    hidden: int = 64
    window: int = 25
    batch: int = 1
    runs: int = 64

    @property
    def flops(self) -> float:
        """Of one optimizer step of one run: forward, and twice that backward, counting matrix products only.

        The input counts for nothing: an id picks a row of the kernel, and who multiplies by a one-hot vector instead
        does more work for the same end.
        """
        products = self.hidden * GATES[self.cell] * self.hidden + self.hidden * VOCABULARY
        return 3 * 2 * self.window * self.batch * products


# Takes n optimizer steps of every run and waits for them -> core-seconds that other processes spent on them, if any.
Stepper = Callable[[int], float | None]
Contender = Callable[[Size], tuple[Stepper, int]]  # -> the stepper and how many runs it advances
Params = dict[str, Any]
Carry = tuple[Any, ...]


def timed(step: Stepper, steps: int) -> float:
    """Seconds that `steps` steps take."""
    start = time.perf_counter()
    step(steps)
    return time.perf_counter() - start


def windows(size: Size) -> Any:
    """The text as `types.Data`."""
    from rnnjax.tasks.windows import cut_windows, next_step

    ids = np.random.default_rng(0).integers(0, VOCABULARY, CHARACTERS).astype(np.int32)
    return cut_windows(next_step(ids), size.batch, size.window)


def start(size: Size, seed: int = 0) -> Params:
    """Random parameters of one run, float32."""
    rng, columns = np.random.default_rng(seed), GATES[size.cell] * size.hidden

    def kernel(rows: int, columns: int) -> np.ndarray:
        return (rng.normal(size=(rows, columns)) / rows**0.5).astype(np.float32)

    params = {
        "kernel": kernel(VOCABULARY, columns),
        "recurrent": kernel(size.hidden, columns),
        "bias": np.zeros(columns, np.float32),
        "readout": kernel(size.hidden, VOCABULARY),
        "readout_bias": np.zeros(VOCABULARY, np.float32),
    }
    return params | ({"inner_bias": np.zeros(size.hidden, np.float32)} if size.cell == "gru" else {})


# rnnjax


def ours(size: Size, block: int = 0, one_hot: bool = False, **settings: Any) -> tuple[Stepper, int]:
    """rnnjax: blocks over all devices, hand-written backward pass, record and alive mask included.

    One seed alone should not pay for a block of 16, so the block is no wider than the runs need.

    Args: settings: others of `Spec`.
    """
    import jax

    from rnnjax.settings import HParams, Spec
    from rnnjax.training.parallel import Run, block_width, compile_program, init_states

    spec = Spec(
        cell=size.cell,
        hidden=size.hidden,
        window=size.window,
        batch=size.batch,
        inputs=VOCABULARY,
        outputs=VOCABULARY,
        **settings,
    )
    needed = -(-size.runs // len(jax.devices()))
    spec = replace(spec, block=block or min(block_width(spec), needed))
    runs = [Run(0, spec, HParams(seed=seed)) for seed in range(size.runs)]
    data = windows(size)
    if one_hot:
        data = data._replace(inputs_WTB=np.eye(VOCABULARY, dtype=np.float32)[data.inputs_WTB])
    program = compile_program(runs, data, rows=400)
    states = [program.blocks.scatter(init_states(runs))]

    def step(steps: int) -> None:
        states[0], _ = program.advance(states[0], steps)
        jax.block_until_ready(states[0])

    return step, size.runs


# The cells as equations, for whatever library has `tanh`, `sigmoid` and `split`.


class Library(NamedTuple):
    tanh: Callable[[Any], Any]
    sigmoid: Callable[[Any], Any]
    split: Callable[[Any, int], Any]  # the last axis into n equal parts


def elman(library: Library, params: Params, carry: Carry, u: Any, r: Any) -> Carry:
    """h' = tanh(u + r)."""
    return (library.tanh(u + r),)


def lstm(library: Library, params: Params, carry: Carry, u: Any, r: Any) -> Carry:
    """c' = f c + i g, h' = o tanh(c')."""
    i, f, g, o = library.split(u + r, 4)
    c = library.sigmoid(f) * carry[1] + library.sigmoid(i) * library.tanh(g)
    return library.sigmoid(o) * library.tanh(c), c


def gru(library: Library, params: Params, carry: Carry, u: Any, r: Any) -> Carry:
    """h' = (1 - z) n + z h with n = tanh(u_n + r * (h W_n + inner_bias)), as in torch and Flax."""
    (u_r, u_z, u_n), (r_r, r_z, r_n) = library.split(u, 3), library.split(r, 3)
    z = library.sigmoid(u_z + r_z)
    n = library.tanh(u_n + library.sigmoid(u_r + r_r) * (r_n + params["inner_bias"]))
    return ((1 - z) * n + z * carry[0],)


CELLS = {"elman": elman, "lstm": lstm, "gru": gru}


# JAX without rnnjax


def descent(size: Size, loss: Callable[..., Any]) -> tuple[Any, Any]:
    """The optimizer and a train step (i, (params, opt_state, carry)) -> the same, for a loss with a carry."""
    import jax
    import jax.numpy as jnp
    import optax

    inputs, targets = (jnp.asarray(ids_WTB) for ids_WTB in windows(size)[:2])
    optimizer = optax.chain(optax.clip_by_global_norm(CLIP_NORM), optax.sgd(LEARNING_RATE))

    def train_step(i: Any, state: Any) -> Any:
        params, opt_state, carry = state
        x, y = inputs[i % len(inputs)], targets[i % len(inputs)]
        gradient, carry = jax.grad(loss, has_aux=True)(params, carry, x, y)
        update, opt_state = optimizer.update(gradient, opt_state)
        return optax.apply_updates(params, update), opt_state, carry

    return optimizer, train_step


def looped(train_step: Any, state: Any) -> Stepper:
    """A compiled loop of train steps on one device."""
    import jax

    run = jax.jit(lambda steps, state: jax.lax.fori_loop(0, steps, train_step, state))
    held = [state]

    def step(steps: int) -> None:
        held[0] = jax.block_until_ready(run(steps, held[0]))

    return step


def plain_loss(cell: str, params: Params, carry: Carry, x_TB: Any, y_TB: Any) -> tuple[Any, Carry]:
    """JAX as one writes it first, of one run: (loss, carry)."""
    import jax
    import jax.numpy as jnp
    import optax

    library = Library(jnp.tanh, jax.nn.sigmoid, lambda x, n: jnp.split(x, n, axis=-1))

    def step(carry: Carry, x_B: Any) -> tuple[Carry, Any]:
        u = params["kernel"][x_B] + params["bias"]
        carry = CELLS[cell](library, params, carry, u, carry[0] @ params["recurrent"])
        return carry, carry[0]

    carry, h_TBH = jax.lax.scan(step, carry, x_TB)
    logits = h_TBH @ params["readout"] + params["readout_bias"]
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, y_TB)
    return losses.sum() / x_TB.shape[1], carry


def plain_vmap(size: Size) -> tuple[Stepper, int]:
    """lax.scan, jax.grad, optax, one vmap over all runs, one device."""
    from functools import partial

    import jax
    import jax.numpy as jnp

    optimizer, train_step = descent(size, partial(plain_loss, size.cell))
    params = jax.tree.map(lambda *rows: jnp.stack(rows), *[start(size, seed) for seed in range(size.runs)])
    carry = (jnp.zeros((size.runs, size.batch, size.hidden)),) * LEAVES[size.cell]
    state = params, jax.vmap(optimizer.init)(params), carry
    return looped(jax.vmap(train_step, in_axes=(None, 0)), state), size.runs


def flax_network(cell: str, hidden: int) -> tuple[Any, Any]:
    """(module of carry and x_TBV -> carry and logits_TBV, its cell)."""
    from flax import linen as nn

    kinds = {"elman": nn.SimpleCell, "lstm": nn.OptimizedLSTMCell, "gru": nn.GRUCell}

    class Network(nn.Module):
        @nn.compact
        def __call__(self, carry: Any, x_TBV: Any) -> Any:
            scanned = nn.RNN(kinds[cell](hidden, name="cell"), time_major=True, return_carry=True)
            carry, h_TBH = scanned(x_TBV, initial_carry=carry)
            return carry, nn.Dense(VOCABULARY, name="readout")(h_TBH)

    return Network(), kinds[cell](hidden)


def flax_loss(network: Any, params: Any, carry: Any, x_TB: Any, y_TB: Any) -> tuple[Any, Any]:
    import jax
    import optax

    carry, logits = network.apply(params, carry, jax.nn.one_hot(x_TB, VOCABULARY))
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, y_TB)
    return losses.sum() / x_TB.shape[1], carry


def flax_one(size: Size) -> tuple[Stepper, int]:
    """flax.linen.RNN and optax, compiled, one run at a time as in their tutorials."""
    from functools import partial

    import jax
    import jax.numpy as jnp

    network, cell = flax_network(size.cell, size.hidden)
    optimizer, train_step = descent(size, partial(flax_loss, network))
    carry = cell.initialize_carry(jax.random.key(0), (size.batch, VOCABULARY))
    params = network.init(jax.random.key(1), carry, jnp.zeros((size.window, size.batch, VOCABULARY)))
    return looped(train_step, (params, optimizer.init(params), carry)), 1
