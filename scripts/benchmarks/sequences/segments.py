"""Memory, time and gradients of one long window with and without segments that are computed again (`remat`)."""

import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.networks.model import build_network
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.training.loss import window_loss
from rnnjax.types import WindowData

WINDOW, HIDDEN, BATCH, CLASSES = 784, 128, 32, 10
SEGMENTS = (14, 28, 56)


class Segmented(NamedTuple):
    """The gradient of a loss at the last step of a window, compiled."""

    compiled: Any
    arguments: Any

    def seconds(self) -> float:
        begin = time.process_time()
        jax.block_until_ready(self.compiled(*self.arguments))
        return time.process_time() - begin

    def megabytes(self) -> float:
        """The peak memory of the program besides its arguments and results."""
        return float(self.compiled.memory_analysis().temp_size_in_bytes) / 1e6

    def gradient(self) -> np.ndarray:
        leaves = jax.tree.leaves(self.compiled(*self.arguments)[1])
        return np.concatenate([np.ravel(leaf) for leaf in leaves])


def segmented(cell: str, remat: int) -> Segmented:
    """The program of a cell. Args: remat: steps of a segment; 0 = all states are stored."""
    spec = Spec(
        cell=cell,
        hidden=HIDDEN,
        inputs=1,
        outputs=CLASSES,
        window=WINDOW,
        batch=BATCH,
        carry="reset",
        reduction="mean",
        remat=remat,
        task=TaskSpec(name="sequences"),
    )
    hp, model, rng = HParams(), build_network(spec, HParams()), np.random.default_rng(0)
    params, carry = model.init(jax.random.key(0)), model.carry({}, jax.random.key(0), BATCH)
    mask_TB = np.zeros((WINDOW, BATCH), np.float32)
    mask_TB[-1] = 1
    x_TBD = rng.normal(size=(WINDOW, BATCH, 1)).astype(np.float32)
    targets_TB = rng.integers(CLASSES, size=(WINDOW, BATCH)).astype(np.int32)
    window = WindowData(x_TBD, targets_TB, mask_TB, np.ones((WINDOW, BATCH), bool))

    def gradient(params: Any, window: WindowData) -> Any:
        def loss(params: Any) -> Any:
            return window_loss(spec, hp, carry, jnp.bool_(True), jax.random.key(1), window, params)[0]

        return jax.value_and_grad(loss)(params)

    return Segmented(jax.jit(gradient).lower(params, window).compile(), (params, window))


def segment_rows(cell: str, rounds: int) -> list[dict[str, Any]]:
    """Memory, time and largest difference of the gradients by the length of a segment, in turns."""
    programs = {remat: segmented(cell, remat) for remat in (0, *SEGMENTS)}
    gradients = {remat: program.gradient() for remat, program in programs.items()}
    seconds = {remat: [program.seconds()] for remat, program in programs.items()}
    for _ in range(rounds - 1):
        for remat, program in programs.items():
            seconds[remat].append(program.seconds())
    plain = np.abs(gradients[0]).max()
    return [
        {
            "cell": cell,
            "remat": remat,
            "megabytes": program.megabytes(),
            "memory": program.megabytes() / programs[0].megabytes(),
            "cpu_seconds": float(np.median(seconds[remat])),
            "time": float(np.median(np.asarray(seconds[remat]) / np.asarray(seconds[0]))),
            "difference": float(np.abs(gradients[remat] - gradients[0]).max()),
            "largest_gradient": float(plain),
        }
        for remat, program in programs.items()
    ]
