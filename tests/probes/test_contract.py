"""Every probe through its contract; gradients against float64 differences and the closed form of linear networks."""

from dataclasses import replace
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from probe_values import hp_of_seeds, start_states, values_with_run_axis

from rnnjax.errors import BadInput
from rnnjax.networks.cells import NATIVE_CELLS
from rnnjax.networks.initializers import INITIALIZERS
from rnnjax.probes import EXAMPLE_SOURCES, EXAMPLES, PROBES, all_metrics, applicable, outline
from rnnjax.probes.dynamics.gradients import (
    JACOBIAN_STEPS,
    LAGS,
    NAMED_LAGS,
    log_gradient_norms,
    reach,
    state_jacobian,
)
from rnnjax.probes.dynamics.spectrum import kernel_spectrum
from rnnjax.probes.generation.free_running import LENGTH
from rnnjax.probes.prediction.validation import validation
from rnnjax.settings import LOSS_UNITS, HParams, Spec
from rnnjax.settings.metrics import resolve_unit
from rnnjax.tasks import TASKS
from rnnjax.tasks.windows import next_step
from rnnjax.training.norms import row_norms
from rnnjax.training.state import TrainState, init_state
from rnnjax.types import Facts, Params, Probe, Task, WindowData

V, H = 4, 6
FAST = {"xla_backend_optimization_level": 0}  # compiles faster; the probes must not care


def spec_of(**fields: Any) -> Spec:
    return Spec(**{"inputs": V, "outputs": V, "hidden": H, "window": 8} | fields)


@cache
def task() -> Task:
    ids = np.random.default_rng(0).integers(V, size=700, dtype=np.int32)
    return Task(
        ids[:500],
        ids[500:],
        next_step,
        inputs=V,
        outputs=V,
        loss="cross_entropy",
        reference_losses={},
        vocabulary="wan ",
        text_measures=lambda text: {"share_of_a": text.count("a") / len(text)},
    )


def random_params(spec: Spec, scale: float = 0.7) -> Params:
    """The biases too; in the float that is on."""
    rng = np.random.default_rng(5)
    shapes = jax.eval_shape(partial(init_state, spec), HParams()).params
    return jax.tree.map(lambda leaf: jnp.asarray(scale * rng.normal(size=leaf.shape), float), shapes)


def values_of(probe: Probe, spec: Spec, hp: HParams, params: Params | None = None) -> dict[str, np.ndarray]:
    """What the probe says of one run, with a run axis."""
    return values_with_run_axis(probe, spec, params, hp)


NETWORKS: list[dict[str, Any]] = [
    *({"cell": cell} for cell in NATIVE_CELLS),
    {"cell": "flax_lstm"},
    {"cell": "lstm", "layers": 2, "layer_norm": True, "initial_state": "learned"},
]


UNMEASURED = ("period", "counterfactual", "mean_counterfactual", "clip", "elementwise")  # NaN without loops or clips
UNMEASURED += ("memory_accuracy", "ngram_accuracy")  # at the lags in between
UNMEASURED += ("floor_ratio",)  # of a floor of 0
UNMEASURED += ("state_cycle", "last_words")  # without loops
UNMEASURED += ("state_portrait", "fixed_point_radius", "unstable_directions")  # between paths; without a point


OF_SERIES = ("responses", "batches", "closed_loop")
OF_EVERY_CELL = ("spectrum", "gradients", "jacobian", "validation", "text")  # the others on two of different kinds
COMPILE_LONG = ("coverage", "decoders", "updates", "exposure", "cycles", "passes", "by_position", "readout")
COMPILE_LONG += ("lyapunov", "fixed_points")


def speed(name: str, network: dict[str, Any]) -> list[pytest.MarkDecorator]:
    """While working: what compiles fast, on the plain network; one probe also on two layers of tuples."""
    fast = (name not in COMPILE_LONG and network is NETWORKS[0]) or (name == "validation" and network is NETWORKS[-1])
    rarely = [pytest.mark.exhaustive] if name in COMPILE_LONG and network is NETWORKS[-1] else []
    return [] if fast or name == "spectrum" else [pytest.mark.slow, *rarely]


PAIRS = [
    pytest.param(name, network, id="-".join(map(str, [name, *network.values()])), marks=speed(name, network))
    for name in PROBES
    if name not in ("categories", "novel_words", "classes", *OF_SERIES)
    for network in (NETWORKS if name in OF_EVERY_CELL else [NETWORKS[0], NETWORKS[-1]])
]


@pytest.mark.parametrize(("name", "network"), PAIRS)
def test_contract_of_a_probe(name: str, network: dict[str, Any]) -> None:
    """Numbers with a run axis; that of a run does not come from its neighbours.

    Probes that read the grammar's words have theirs in test_novel_words.py, those of a series in
    test_sensitivity.py, that of classes in test_classes.py.
    """
    spec = spec_of(**network)
    if name == "spectrum" and spec.cell.startswith("flax"):
        with pytest.raises(BadInput, match="cell: got 'flax_lstm'; expected a native cell"):
            PROBES[name](spec, task())
        return
    probe = PROBES[name](spec, task())
    check_metrics(probe, outline(probe, spec))
    if isinstance(probe, Facts):
        return

    def of_run(state: TrainState, hp: HParams) -> dict[str, jax.Array]:
        return probe.measure(state, hp, jnp.int32(3))

    measure = jax.jit(jax.vmap(of_run), compiler_options=FAST)
    runs = (hp_of_seeds([0, 1]), hp_of_seeds([1, 0]))
    measured = [jax.tree.map(np.asarray, measure(start_states(spec)(hp_R), hp_R)) for hp_R in runs]
    both, swapped = map(probe.summarise, measured)
    check_metrics(probe, both)
    for key, values in both.items():
        assert values.shape[0] == 2
        assert key.startswith(UNMEASURED) or np.isfinite(values).all(), key
        np.testing.assert_allclose(values[::-1], swapped[key], rtol=1e-5, err_msg=key)


RANKS = {"scalar": 1, "lag": 2, "text": 2, "map": 3}  # with the axis of runs


def check_metrics(probe: Probe | Facts, values: dict[str, np.ndarray]) -> None:
    """Every value is described, and has the rank and the kind of number of its description."""
    assert values
    assert probe.metrics.keys() == values.keys()
    for name, metric in probe.metrics.items():
        assert metric.definition.strip(), name
        assert not metric.definition.endswith(("TODO", ".")), name
        assert values[name].ndim == RANKS[metric.kind], name
        assert (metric.kind == "text") == np.issubdtype(values[name].dtype, np.integer), name
        assert metric.kind != "map" or values[name].shape[2] == 2, name
        for loss in LOSS_UNITS:
            assert "{" not in resolve_unit(metric, loss).unit, name
    labels = getattr(probe, "labels", {})
    assert labels.keys() == {name for name, metric in probe.metrics.items() if metric.kind == "map"}
    assert all(values[name].shape[1] == len(points) for name, points in labels.items())


MANY_PROBES = ("grammar", "text")


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(one, id=one.task.name, marks=[pytest.mark.slow] if one.task.name in MANY_PROBES else [])
        for one in EXAMPLES
    ],
)
def test_metrics_describe_the_values(example: Spec) -> None:
    """Of every probe on every kind of task, without a compilation."""
    task = TASKS[example.task.name](example.task, EXAMPLE_SOURCES.get(example.task.name))
    spec = replace(example, inputs=task.inputs, outputs=task.outputs, loss=task.loss)
    for probe in applicable(PROBES, spec, task).values():
        check_metrics(probe, outline(probe, spec))


def test_every_probe_has_metrics() -> None:
    metrics = all_metrics()
    assert metrics.keys() == PROBES.keys()
    assert all(metrics.values()), [name for name, found in metrics.items() if not found]


# Gradients


def loss_from(params: Params, h_H: np.ndarray, inputs: np.ndarray, target: int) -> float:
    """Oracle: -log softmax of the last step of a tanh network that starts in h and reads `inputs`."""
    cell, readout = params["layer_0"], params["readout"]
    for one in inputs:
        h_H = np.tanh(cell["kernel"][one] + h_H @ cell["recurrent_kernel"] + cell["bias"])
    logits = h_H @ readout["kernel"] + readout["bias"]
    return float(np.log(np.exp(logits).sum()) - logits[target])


def states_along(params: Params, inputs: np.ndarray) -> list[np.ndarray]:
    """h before the first input, after it, ..."""
    cell, states = params["layer_0"], [np.zeros(H)]
    for one in inputs:
        states.append(np.tanh(cell["kernel"][one] + states[-1] @ cell["recurrent_kernel"] + cell["bias"]))
    return states


def test_log_gradient_norms_are_those_of_finite_differences() -> None:
    lags, step = 5, 1e-6
    ids_NW = np.random.default_rng(3).integers(V, size=(12, 7))
    windows = WindowData(ids_NW[None, :-1], ids_NW[None, 1:])
    with jax.enable_x64(True):
        params = random_params(spec_of())
        lagged = jax.jit(partial(log_gradient_norms, spec_of(), HParams(), lags=lags))
        norms_WL = 10 ** np.asarray(lagged(params, jax.tree.map(jnp.asarray, windows)))
    params = jax.tree.map(np.asarray, params)
    expected = np.empty_like(norms_WL)
    for window, ids in enumerate(ids_NW.T):
        inputs, target = ids[:-1], ids[-1]
        states = states_along(params, inputs)
        for lag in range(lags + 1):
            place = len(inputs) - lag
            loss = partial(loss_from, params, inputs=inputs[place:], target=target)
            slopes = [(loss(states[place] + e) - loss(states[place] - e)) / (2 * step) for e in step * np.eye(H)]
            expected[window, lag] = np.linalg.norm(slopes)
    np.testing.assert_allclose(norms_WL, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("gain", "reach_10", "reach_5"),
    [
        (1.0, LAGS, LAGS),
        (0.9, 21, 28),
        (0.5, 3, 4),
        (0.04, 0, 0),
        (0.01, 0, 0),
    ],  # 0.9^21 = 0.109, 0.9^28 = 0.052; 0.5^4 = 0.0625
)
def test_gradient_decay_of_a_linear_orthogonal_network(gain: float, reach_10: int, reach_5: int) -> None:
    """h_t = u_t + h_{t-1} gQ, so d l / d h_{t-k} = (gQ)^k (d l / d h_t): its norm is g^k times that at lag 0, exactly.

    Whatever the readout makes of h_t enters every lag alike and cancels.
    """
    spec = spec_of(activation="identity", recurrent_initializer="orthogonal")
    values = values_of(PROBES["gradients"](spec, task()), spec, HParams(recurrent_gain=gain))
    assert values["gradient_decay"].shape == (1, LAGS + 1)
    found, expected = values["gradient_decay"][0], np.arange(LAGS + 1) * np.log10(gain)
    np.testing.assert_allclose(found, expected, atol=2e-4)  # at 0.01 down to 1e-98, where float32 ends at 1e-38
    for lag in NAMED_LAGS:
        assert values[f"gradient_decay_{lag}"][0] == values["gradient_decay"][0, lag]
    assert (values["reach_0.1"][0], values["reach_0.05"][0]) == (reach_10, reach_5)


def test_norms_do_not_leave_float32() -> None:
    """3-4-5 triangles: the squares of these would be 0 or infinite."""
    rows = jnp.array([[3e-30, 4e-30], [3e30, -4e30], [0.0, 0.0], [-3.0, 4.0]])
    np.testing.assert_allclose(row_norms(rows), [5e-30, 5e30, 0, 5], rtol=1e-6)


def test_a_gradient_of_zero_has_a_decay() -> None:
    """A dead recurrent kernel: nothing comes back from lag 1 on, and no number stands for log 0."""
    params = random_params(spec_of())
    params["layer_0"]["recurrent_kernel"] *= 0
    values = values_of(PROBES["gradients"](spec_of(), task()), spec_of(), HParams(), params)
    decay = values["gradient_decay"][0]
    assert decay[0] == 0
    assert np.all(decay[1:] == -np.inf)
    assert values["reach_0.05"][0] == 0


@pytest.mark.parametrize(
    ("decay", "expected"),
    [
        ([1.0, 0.5, 0.2], 2),
        ([1.0, 0.5, 0.05, 0.9], 1),  # what comes back after a gap does not count
        ([1.0, 0.01, 0.01], 0),
        ([1.0, 0.1, 0.09], 1),
        ([1.0, 3.0, 9.0, 27.0], 3),
    ],
)
def test_reach_by_hand(decay: list[float], expected: int) -> None:
    assert reach(jnp.array(decay), 0.1) == expected


def test_state_jacobian_is_finite_differences() -> None:
    steps, step = 4, 1e-6
    ids = np.random.default_rng(4).integers(V, size=9)
    with jax.enable_x64(True):
        params = random_params(spec_of())
        of_window = jax.jit(partial(state_jacobian, spec_of(), HParams(), steps=steps))
        jacobian = np.asarray(of_window(params, jnp.asarray(ids)))
    params = jax.tree.map(np.asarray, params)
    start = states_along(params, ids)[len(ids) - steps]

    def end(h_H: np.ndarray) -> np.ndarray:
        cell = params["layer_0"]
        for one in ids[-steps:]:
            h_H = np.tanh(cell["kernel"][one] + h_H @ cell["recurrent_kernel"] + cell["bias"])
        return h_H

    slopes = np.stack([(end(start + e) - end(start - e)) / (2 * step) for e in step * np.eye(H)], axis=1)
    np.testing.assert_allclose(jacobian, slopes, rtol=1e-6, atol=1e-9)


def test_state_jacobian_of_a_linear_network_is_a_power_of_its_kernel() -> None:
    """h_t = u + h_{t-s} W^s for row vectors, so d h_t / d h_{t-s} = (W^s) transposed."""
    spec = spec_of(activation="identity")
    params = random_params(spec)
    jacobian = state_jacobian(spec, HParams(), params, jnp.zeros(9, jnp.int32), 3)
    kernel = np.asarray(params["layer_0"]["recurrent_kernel"], float)
    np.testing.assert_allclose(jacobian, np.linalg.matrix_power(kernel, 3).T, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("gain", [1.0, 0.9])
def test_jacobian_probe_of_a_linear_orthogonal_network(gain: float) -> None:
    """All singular values of (gQ)^18 are g^18."""
    spec = spec_of(activation="identity")
    values = values_of(PROBES["jacobian"](spec, task()), spec, HParams(recurrent_gain=gain))
    assert values["jacobian_largest"] == pytest.approx(gain**JACOBIAN_STEPS, rel=1e-4)
    assert values["jacobian_mean"] == pytest.approx(gain**JACOBIAN_STEPS, rel=1e-4)


# Spectrum

ROTATION = np.array([[0.6, -0.8], [0.8, 0.6]])
KNOWN = [  # matrix, spectral radius, eigenvalue departure, spectral norm, departure from normality
    (ROTATION, 1, 0, 1, 0),
    (3 * ROTATION, 3, 2, 3, 0),
    (np.diag([2.0, 0.5]), 2, 1, 2, 0),
    (np.diag([-2.0, 0.0]), 2, 1, 2, 0),
    (np.array([[0.0, 5.0], [0.0, 0.0]]), 0, 1, 5, 1),  # nilpotent: no eigenvalue but 0, as far from normal as can be
    (np.array([[1.0, 1.0], [0.0, 1.0]]), 1, 0, (1 + 5**0.5) / 2, 1 / 3**0.5),  # |W|_F^2 = 3, eigenvalues 1 and 1
]


@pytest.mark.parametrize(("matrix", "radius", "departure", "norm", "henrici"), KNOWN)
def test_spectrum_of_known_matrices(
    matrix: np.ndarray, radius: float, departure: float, norm: float, henrici: float
) -> None:
    found = kernel_spectrum(np.stack([matrix, np.eye(2)]))
    assert [values.shape for values in found.values()] == [(2,)] * 4
    measured = [found[name][0] for name in ("spectral_radius", "eigenvalue_departure", "spectral_norm", "henrici")]
    assert measured == pytest.approx([radius, departure, norm, henrici], abs=1e-7)
    assert found["spectral_radius"][1] == 1


@pytest.mark.parametrize("name", ["orthogonal", "radius"])
def test_spectrum_probe_of_a_start(name: str) -> None:
    spec = spec_of(recurrent_initializer=name, hidden=32)
    assert name in INITIALIZERS
    values = values_of(PROBES["spectrum"](spec, task()), spec, HParams(recurrent_gain=1.3))
    assert values["spectral_radius"][0] == pytest.approx(1.3, rel=1e-4)
    assert (values["henrici"][0] < 2e-3) == (name == "orthogonal")


# Outputs


@pytest.mark.parametrize(
    ("carry", "window", "read"), [(c, w, r) for c in ("carried", "reset") for w, r in ((8, 192), (199, 199))]
)
def test_validation_loss_is_a_loop(carry: str, window: int, read: int) -> None:
    """199 pairs of the held-out text in whole windows: at a stretch, or each with a new start."""
    spec = spec_of(carry=carry, window=window)
    params = random_params(spec)
    loss = values_of(validation(spec, task()), spec, HParams(), params)["validation_loss"]
    known, held_out = jax.tree.map(lambda leaf: np.asarray(leaf, float), params), task().validation_N
    assert len(held_out) == 200
    losses = []
    for place in range(read):
        start = 0 if carry == "carried" else place - place % window
        losses.append(loss_from(known, np.zeros(H), held_out[start : place + 1], held_out[place + 1]))
    assert loss.shape == (1,)
    assert loss[0] == pytest.approx(np.mean(losses), rel=1e-5)


def test_a_held_out_text_shorter_than_a_window_is_refused() -> None:
    with pytest.raises(BadInput, match="leaves 200 characters; need >= 201"):
        validation(spec_of(window=200), task())
    validation(spec_of(window=199), task())


# Text


def forced(turn: int) -> Params:
    """A network without memory that writes id + turn after each id, beyond doubt."""
    spec = spec_of(hidden=V)
    params = jax.tree.map(jnp.zeros_like, random_params(spec))
    params["layer_0"]["kernel"] = 5 * jnp.eye(V)
    params["readout"]["kernel"] = 200 * jnp.roll(jnp.eye(V), turn, axis=1)
    return params


@pytest.mark.parametrize(("turn", "period", "distinct"), [(0, 1, 1), (1, 4, 4), (2, 2, 2)])
def test_text_of_a_network_that_is_forced_to_repeat(turn: int, period: int, distinct: int) -> None:
    """ "wan wan wan": every text loops, with the period of the cycle and as many 4-grams as it has places."""
    spec = spec_of(hidden=V)
    values = values_of(PROBES["text"](spec, task()), spec, HParams(), forced(turn))
    for decoder in ("greedy", "sampled"):
        assert values[f"text_{decoder}"].shape == (1, LENGTH)
        assert values[f"text_{decoder}"].dtype == np.uint16
        assert (np.diff(values[f"text_{decoder}"][0].astype(int)) % V == turn).all()
        assert values[f"loop_rate_{decoder}"] == [1]
        assert values[f"period_{decoder}"] == [period]
        assert values[f"distinct_4_{decoder}"] == pytest.approx([distinct / (LENGTH - 3)])
        assert values[f"zlib_ratio_{decoder}"] < 0.1
        if turn == 1:
            assert values[f"share_of_a_{decoder}"] == pytest.approx([0.25]), "the task's own measure"


def test_text_of_a_network_that_guesses_does_not_loop() -> None:
    """All parameters 0: greedy writes the first symbol for ever, sampling is noise."""
    params = jax.tree.map(jnp.zeros_like, random_params(spec_of()))
    values = values_of(PROBES["text"](spec_of(), task()), spec_of(), HParams(), params)
    assert (values["loop_rate_greedy"], values["loop_rate_sampled"]) == ([1], [0])
    assert values["share_of_a_sampled"] == pytest.approx([0.25], abs=0.02)  # 16,000 symbols: a deviation of 0.003
    assert np.isnan(values["period_sampled"])
