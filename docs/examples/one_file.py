"""What a study of rnnjax trains by default, in one file: Elman networks on a text, all seeds in one program.

    python docs/examples/one_file.py notes.md

Nothing of rnnjax is imported; tests/test_one_file.py trains the same networks with rnnjax and compares every loss.
Letters at the end of a name are its axes: W windows, T steps, B streams, V characters, H units, S seeds.
"""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

HIDDEN, WINDOW, BATCH = 64, 25, 1
LEARNING_RATE, CLIP_NORM = 0.01, 5.0
Params = dict[str, Array]


def cut_windows(ids_N: np.ndarray, batch: int, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets [W, T, B]: window w + 1 of a stream goes on where window w ends."""
    length = (len(ids_N) - 1) // batch // window * window
    starts_B = (len(ids_N) - 1) // batch * np.arange(batch)
    positions_WTB = starts_B + np.arange(length).reshape(-1, window, 1)
    return ids_N[positions_WTB], ids_N[positions_WTB + 1]


def init(vocabulary: int, hidden: int, key: Array) -> Params:
    """Glorot's normal kernels, a random rotation as the recurrent kernel, biases of 0."""
    keys = jax.random.split(key, 3)
    glorot, rotation = jax.nn.initializers.glorot_normal(), jax.nn.initializers.orthogonal()
    return {
        "kernel": glorot(keys[0], (vocabulary, hidden)),
        "recurrent": rotation(keys[1], (hidden, hidden)),
        "bias": jnp.zeros(hidden),
        "readout": glorot(keys[2], (hidden, vocabulary)),
        "readout_bias": jnp.zeros(vocabulary),
    }


def window_loss(params: Params, h_BH: Array, x_TB: Array, y_TB: Array) -> tuple[Array, Array]:
    """(the mean over streams of the sum over steps of the cross entropy, the state after the window)."""

    def step(h_BH: Array, x_B: Array) -> tuple[Array, Array]:
        h_BH = jnp.tanh(params["kernel"][x_B] + h_BH @ params["recurrent"] + params["bias"])
        return h_BH, h_BH

    h_BH, h_TBH = jax.lax.scan(step, h_BH, x_TB)
    log_p_TBV = jax.nn.log_softmax(h_TBH @ params["readout"] + params["readout_bias"])
    losses_TB = -jnp.take_along_axis(log_p_TBV, y_TB[..., None], axis=-1)[..., 0]
    return losses_TB.mean(axis=1).sum(), h_BH


def train_step(windows: Any, first: Array, state: tuple[Params, Array], i: Array) -> tuple[tuple[Params, Array], Array]:
    """One step of gradient descent on the next window, and its loss in nats per character.

    The state of the network is carried from window to window, and zero where the text begins again.
    """
    params, h_BH = state
    index = (first + i) % len(windows[0])
    x_TB, y_TB = (part_WTB[index] for part_WTB in windows)
    h_BH = jnp.where(index == 0, 0.0, h_BH)
    (loss, h_BH), gradient = jax.value_and_grad(window_loss, has_aux=True)(params, h_BH, x_TB, y_TB)
    norm = jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in gradient.values()))
    rate = LEARNING_RATE * jnp.minimum(1, CLIP_NORM / norm)
    params = {name: params[name] - rate * gradient[name] for name in params}
    return (params, h_BH), loss / len(x_TB)


@partial(jax.jit, static_argnames="steps")
def train(windows: Any, params_S: Params, first_S: Array, steps: int) -> tuple[Params, Array]:
    """The trained parameters of all seeds and their losses [S, steps]. Args: first_S: where each begins to read."""
    windows = jax.tree.map(jnp.asarray, windows)

    def of_one_seed(params: Params, first: Array) -> tuple[Params, Array]:
        h_BH = jnp.zeros((windows[0].shape[2], params["bias"].shape[0]))
        (params, _), losses = jax.lax.scan(partial(train_step, windows, first), (params, h_BH), jnp.arange(steps))
        return params, losses

    return jax.vmap(of_one_seed)(params_S, first_S)


def main(path: str, seeds: int = 8, steps: int = 5_000) -> None:
    text = Path(path).read_text("utf-8")
    vocabulary = sorted(set(text))
    windows = cut_windows(np.array([vocabulary.index(character) for character in text]), BATCH, WINDOW)
    keys_S = jax.random.split(jax.random.key(42), seeds)
    params_S = jax.vmap(partial(init, len(vocabulary), HIDDEN))(keys_S)
    first_S = jax.vmap(lambda key: jax.random.randint(key, (), 0, len(windows[0])))(keys_S)
    _, losses_S = train(windows, params_S, first_S, steps)
    for seed, losses in enumerate(np.asarray(losses_S[:, -steps // 10 :])):
        print(f"seed {seed}: {losses.mean():.3f} nats per character, mean of the last tenth of {steps:,} steps")


if __name__ == "__main__":
    main(sys.argv[1])
