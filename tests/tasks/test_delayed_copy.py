"""The delayed copy problem, and the start of gates whose time constants are spread."""

from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.errors import BadInput
from rnnjax.networks.cells import gru, lstm
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.tasks.recall import recall_task
from rnnjax.tasks.windows import training_data
from rnnjax.types import Cell, WindowData

LAG, KEPT, SYMBOLS = 4, 2, 5
SETTINGS = TaskSpec(
    name="recall", recall="delayed_copy", copy_delay=LAG, copy_length=KEPT, symbols=SYMBOLS, examples=30
)


def test_what_is_read_is_asked_for_after_the_signal() -> None:
    task = recall_task(SETTINGS, None)
    data = training_data(task, Spec(task=SETTINGS, window=LAG + 2 * KEPT, batch=3, carry="reset"))
    assert isinstance(data, WindowData)
    assert data.inputs_WTB.shape == (10, 8, 3)
    for w in range(10):
        for b in range(3):
            inputs, targets = data.inputs_WTB[w, :, b].tolist(), data.targets_WTB[w, :, b].tolist()
            assert max(inputs[:2]) < SYMBOLS
            assert inputs[2:] == [SYMBOLS, SYMBOLS, SYMBOLS, SYMBOLS + 1, SYMBOLS, SYMBOLS]
            assert targets[6:] == inputs[:2]
    counted = np.asarray(data.loss_mask_WTB)
    np.testing.assert_array_equal(counted.sum(axis=1), 2)
    np.testing.assert_array_equal(counted[:, 6:], 1)
    assert task.reference_losses == {"chance": pytest.approx(np.log(SYMBOLS)), "floor": 0.0}
    assert (task.inputs, task.outputs) == (SYMBOLS + 2, SYMBOLS)


def test_the_held_out_part_has_other_examples() -> None:
    task = recall_task(SETTINGS, None)
    assert len(task.validation_N) == 3 * 8
    assert not np.array_equal(task.train_N[: 3 * 8], task.validation_N)


def test_a_window_of_another_length_is_refused_in_one_line() -> None:
    task = recall_task(SETTINGS, None)
    with pytest.raises(BadInput, match="window: got 9; the examples of this task have 8 steps"):
        training_data(task, Spec(task=SETTINGS, window=9, carry="reset"))


@pytest.mark.parametrize(("cell", "keep"), [(lstm, 1), (gru, 1)])
def test_chrono_biases_are_logarithms_of_uniform_times(cell: Callable[[Spec, HParams], Cell], keep: int) -> None:
    key, hidden = jax.random.key(3), 100
    plain = Spec(window=101, hidden=hidden, inputs=2, recurrent_initializer="normal")
    params, without = (cell(one, HParams()).init(key) for one in (replace(plain, gate_biases="chrono"), plain))
    blocks = np.array(params["bias"]).reshape(-1, hidden)
    times = np.sort(np.exp(blocks[keep].astype(float)))
    assert times[0] >= 1 and times[-1] <= 100
    quantiles = 1 + 99 * (np.arange(hidden) + 0.5) / hidden  # of U(1, 100)
    assert np.abs(times - quantiles).max() / 99 < 1.63 / hidden**0.5  # Kolmogorov, 1%
    if cell is lstm:
        np.testing.assert_array_equal(blocks[0], -blocks[keep])
        blocks[0] = 0
    blocks[keep] = 0
    assert not blocks.any()
    for name in ("kernel", "recurrent_kernel"):
        assert jnp.array_equal(params[name], without[name])
