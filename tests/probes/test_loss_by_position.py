"""The loss at each place of a window, on networks that say the same everywhere or read one character only."""

from dataclasses import replace
from functools import cache
from typing import Any

import jax
import numpy as np
import pytest
from probe_values import values_of

from rnnjax.errors import NotApplicable
from rnnjax.probes.prediction.loss_by_position import by_position
from rnnjax.settings import HParams, Spec
from rnnjax.tasks.entropy import carried_floor, held_out_loss_bound, window_floor, window_floors
from rnnjax.tasks.windows import next_step, task_windows
from rnnjax.training.state import init_state
from rnnjax.types import Params, Task

V, H, T, B = 4, 5, 8, 6
SPEC = Spec(inputs=V, outputs=V, hidden=H, window=T, batch=B, carry="reset")


@cache
def task() -> Task:
    """Some windows begin alike and go on differently, some are the same throughout."""
    ids = np.random.default_rng(0).choice(V, size=700, p=[0.6, 0.2, 0.1, 0.1]).astype(np.int32)
    return Task(ids[:500], ids[500:], next_step, inputs=V, outputs=V, loss="cross_entropy", reference_losses={})


def measured(params: Params, **fields: Any) -> dict[str, np.ndarray]:
    spec = replace(SPEC, **fields)
    return values_of(by_position(spec, task()), spec, params)


def params_with(recurrent: float, scale: float) -> Params:
    params = jax.tree.map(lambda leaf: scale * leaf, init_state(SPEC, HParams(seed=3)).params)
    params["layer_0"]["recurrent_kernel"] = recurrent * params["layer_0"]["recurrent_kernel"]
    return params


def logits_by_hand(params: Params, x_N: np.ndarray, h_NH: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    cell, readout = jax.tree.map(np.asarray, (params["layer_0"], params["readout"]))
    h_NH = np.tanh(cell["kernel"][x_N] + h_NH @ cell["recurrent_kernel"] + cell["bias"])
    return h_NH, h_NH @ readout["kernel"] + readout["bias"]


def losses_by_hand(params: Params, inputs_TN: np.ndarray, targets_TN: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(losses, right guesses), both [T, N]."""
    losses, right, h_NH = [], [], np.zeros((inputs_TN.shape[1], H))
    for x_N, target_N in zip(inputs_TN, targets_TN, strict=True):
        h_NH, logits_NV = logits_by_hand(params, x_N, h_NH)
        rows = np.arange(len(x_N))
        losses.append(np.log(np.exp(logits_NV).sum(axis=1)) - logits_NV[rows, target_N])
        right.append(logits_NV.argmax(axis=1) == target_N)
    return np.array(losses), np.array(right)


def windows(**fields: Any) -> tuple[np.ndarray, np.ndarray]:
    data = task_windows(task(), task().train_N, B, T)
    return tuple(np.moveaxis(ids_WTB, 1, 0).reshape(T, -1) for ids_WTB in data[:2])  # type: ignore[return-value]


def test_the_loss_of_each_place_is_that_of_a_loop() -> None:
    params = params_with(recurrent=1.0, scale=2.0)
    found, (losses_TN, right_TN) = measured(params), losses_by_hand(params, *windows())
    np.testing.assert_allclose(found["position_loss"], losses_TN.mean(axis=1), rtol=1e-5)
    assert found["true_loss"] == pytest.approx(losses_TN.mean(), rel=1e-5)
    assert found["window_loss"] == pytest.approx(T * losses_TN.mean(), rel=1e-5)
    assert found["last_loss"] == pytest.approx(losses_TN[-1].mean(), rel=1e-5)
    assert found["loss_ratio"] == pytest.approx(T * losses_TN.mean() / losses_TN[-1].mean(), rel=1e-5)
    assert found["early_share"] == pytest.approx(losses_TN[:3].sum() / losses_TN.sum(), rel=1e-5)
    assert found["late_loss"] == pytest.approx(losses_TN[5:].mean(), rel=1e-5)
    assert found["accuracy"] == pytest.approx(right_TN.mean())
    assert found["late_accuracy"] == pytest.approx(right_TN[4:].mean())


def test_a_shorter_context_is_the_end_of_a_window() -> None:
    params = params_with(recurrent=1.0, scale=2.0)
    inputs_TN, targets_TN = windows()
    found = measured(params)
    for i, cut in enumerate((1, 2, 3, 4, 6, 8)):
        expected = losses_by_hand(params, inputs_TN[-cut:], targets_TN[-cut:])[0][-1].mean()
        assert found[f"cut_loss_{cut}"] == found["cut_loss"][i] == pytest.approx(expected, rel=1e-5)
    assert "cut_loss_12" not in found
    assert found["context_gain"] == pytest.approx(found["cut_loss_3"] - found["cut_loss_8"])


def test_a_network_that_reads_one_character_gains_nothing_from_more() -> None:
    found = measured(params_with(recurrent=0.0, scale=2.0))
    np.testing.assert_allclose(found["cut_loss"], found["last_loss"], rtol=1e-5)


@pytest.mark.slow
def test_a_carried_state_reads_each_stream_in_one_go() -> None:
    params = params_with(recurrent=1.0, scale=2.0)
    data = task_windows(task(), task().train_N, B, T)
    streams = [ids_WTB.reshape(-1, B) for ids_WTB in data[:2]]
    losses_WTB = losses_by_hand(params, *streams)[0].reshape(data.inputs_WTB.shape)
    found = measured(params, carry="carried")
    np.testing.assert_allclose(found["position_loss"], losses_WTB.mean(axis=(0, 2)), rtol=1e-5)
    assert found["floor"] == pytest.approx(carried_floor(data), rel=1e-6)


def test_the_floor_of_each_place_is_counted() -> None:
    """The best guess after the t + 1 characters that a window begins with is how often each one follows them."""
    inputs_TN, targets_TN = windows()
    expected = []
    for t in range(T):
        begun = [tuple(ids) for ids in inputs_TN[: t + 1].T]
        chances = [
            np.mean([o == target for other, o in zip(begun, targets_TN[t], strict=True) if other == one])
            for one, target in zip(begun, targets_TN[t], strict=True)
        ]
        expected.append(-np.log(chances).mean())
    data = task_windows(task(), task().train_N, B, T)
    found = measured(params_with(recurrent=1.0, scale=0.0))
    np.testing.assert_allclose(window_floors(data), expected, atol=1e-12)
    np.testing.assert_allclose(found["position_floor"], expected, atol=1e-6)
    assert found["floor"] == pytest.approx(window_floor(data), rel=1e-6)
    assert found["window_floor"] == pytest.approx(T * window_floor(data), rel=1e-6)
    assert found["true_loss"] == pytest.approx(np.log(V), rel=1e-6)
    assert found["excess"] == pytest.approx(np.log(V) - window_floor(data), rel=1e-5)
    assert found["floor_ratio"] == pytest.approx(np.log(V) / window_floor(data), rel=1e-5)


def test_what_is_known_whatever_the_network_does() -> None:
    found = measured(params_with(recurrent=1.0, scale=1.0))
    assert found["steps_a_pass"] == 10 * T and found["characters_a_pass"] == 10 * T * B
    expected = held_out_loss_bound(task().train_N, task().validation_N, 3, V)
    assert found["held_out_trigram"] == pytest.approx(expected, rel=1e-6)


def test_a_series_has_no_places_to_look_at() -> None:
    with pytest.raises(NotApplicable):
        by_position(replace(SPEC, loss="squared_error"), task()._replace(loss="squared_error"))
