"""Which window a step reads: in the order of the text, or from anywhere in each stream."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.settings import HParams
from rnnjax.tasks.windows import cut_windows, next_step
from rnnjax.training.batching import random_window, sequential_window
from rnnjax.types import WindowData


def windows_read(hp: HParams, windows: int, steps: int) -> list[int]:
    places = np.arange(windows, dtype=np.int32).reshape(windows, 1, 1)
    read, first = jax.vmap(partial(sequential_window, hp, WindowData(places, places)))(jnp.arange(steps))
    assert np.array_equal(first, read.inputs_WTB[:, 0, 0] == 0)
    return read.inputs_WTB[:, 0, 0].tolist()


def test_the_order_of_the_data_depends_on_the_seed_only() -> None:
    runs = {seed: windows_read(HParams(seed=seed), 50, 120) for seed in (0, 1, 2, 2**32 - 1)}
    for first, *rest in runs.values():
        assert [first, *rest] == [(first + step) % 50 for step in range(120)], "in the order of the text"
    assert len({read[0] for read in runs.values()}) > 1
    other = HParams(seed=1, learning_rate=0.5, clip_norm=1.0, kernel_gain=3.0, adam_b1=0.1)
    assert windows_read(other, 50, 120) == runs[1]


def test_the_places_where_runs_start_are_spread_evenly() -> None:
    """1,000 seeds over 10 windows: 100 each, with a deviation of 9.5."""
    places = np.arange(10, dtype=np.int32).reshape(10, 1, 1)
    starts = jax.vmap(
        lambda seed: sequential_window(HParams(seed=seed), WindowData(places, places), jnp.int32(0))[0].inputs_WTB[0, 0]
    )
    counts = np.bincount(np.asarray(starts(jnp.arange(1_000, dtype=jnp.uint32))), minlength=10)
    assert np.abs(counts - 100).max() < 45


STREAMS, WINDOWS, STEPS = 3, 5, 4


def read_anywhere(seed: int, steps: int) -> tuple[WindowData, np.ndarray]:
    """A text of its own places, read at so many steps: leaves [steps, T, B]."""
    data = cut_windows(next_step(np.arange(STREAMS * WINDOWS * STEPS + 1)), STREAMS, STEPS)
    return jax.vmap(partial(random_window, HParams(seed=seed), data))(jnp.arange(steps))


def test_a_window_from_anywhere_is_a_piece_of_each_stream() -> None:
    read, first = read_anywhere(0, 200)
    begins_SB = np.asarray(read.inputs_WTB[:, 0])
    assert np.array_equal(read.inputs_WTB, begins_SB[:, None] + np.arange(STEPS)[None, :, None])
    assert np.array_equal(read.targets_WTB, read.inputs_WTB + 1)
    within = begins_SB - WINDOWS * STEPS * np.arange(STREAMS)
    assert within.min() == 0 and within.max() == (WINDOWS - 1) * STEPS
    assert np.array_equal(first, np.arange(200) == 0)


def test_every_place_comes_as_often_and_streams_are_drawn_apart() -> None:
    """17 places, 8,000 steps: 471 each, with a deviation of 21."""
    begins_SB = np.asarray(read_anywhere(1, 8_000)[0].inputs_WTB[:, 0]) % (WINDOWS * STEPS)
    for begins_S in begins_SB.T:
        assert np.abs(np.bincount(begins_S) - 8_000 / 17).max() < 105
    assert abs(np.corrcoef(begins_SB.T)[0, 1]) < 0.06
    assert not np.array_equal(begins_SB, np.asarray(read_anywhere(2, 8_000)[0].inputs_WTB[:, 0]) % (WINDOWS * STEPS))


def test_what_counts_keeps_its_place_in_a_window() -> None:
    data = cut_windows(next_step(np.arange(STREAMS * WINDOWS * STEPS + 1)), STREAMS, STEPS)
    loss_mask_WTB = np.zeros(data.inputs_WTB.shape, np.float32)
    loss_mask_WTB[:, -1] = 1
    read, _ = random_window(HParams(), data._replace(loss_mask_WTB=loss_mask_WTB), jnp.int32(3))
    assert np.array_equal(read.loss_mask_WTB, loss_mask_WTB[0])
