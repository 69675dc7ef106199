"""Cells of torch, Haiku and Equinox against numbers that these libraries computed (scripts/interop_golden.py).

Outputs, states and gradients, in float64, to 1e-12. New numbers need the library: `python scripts/interop_golden.py`.
"""

from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.interop.equinox_modules import CELLS as EQUINOX
from rnnjax.interop.form import Layer, NetworkForm
from rnnjax.interop.haiku_trees import form_from_haiku, form_to_haiku
from rnnjax.interop.layouts import Weights, import_weights
from rnnjax.interop.programs import carry_to_states, form_to_program, program_to_form, states_to_carry
from rnnjax.interop.torch_entries import TorchOptions, form_from_state_dict, form_to_state_dict
from rnnjax.networks.model import build_network
from rnnjax.settings import HParams, Spec
from rnnjax.types import Params

DATA = Path(__file__).parents[1] / "data"
KEPT = 9
CASES = {
    "torch": ("rnn", "relu", "gru", "lstm", "deep", "deep_gru"),
    "haiku": ("vanilla_rnn", "gru", "lstm"),
    "equinox": ("gru", "lstm"),
}
QUICK = {("torch", "deep", 9), ("haiku", "gru", 9)}
ALL = [
    pytest.param(*case, marks=[] if case in QUICK else [pytest.mark.slow])
    for case in ((library, name, steps) for library, names in CASES.items() for name in names for steps in (1, 9, 200))
]


@cache
def arrays(library: str) -> dict[str, np.ndarray]:
    with np.load(DATA / f"interop_{library}.npz") as stored:
        return dict(stored)


def part(library: str, prefix: str) -> dict[str, np.ndarray]:
    return {n.removeprefix(f"{prefix}|"): a for n, a in arrays(library).items() if n.startswith(f"{prefix}|")}


def form_of(library: str, name: str, weights: dict[str, np.ndarray]) -> NetworkForm:
    """The neutral form of the weights of a case, or of their gradients."""
    if library == "torch":
        return form_from_state_dict(weights, TorchOptions("relu" if name == "relu" else "tanh"))
    if library == "haiku":
        tree: dict[str, dict[str, np.ndarray]] = {}
        for path, array in weights.items():
            module, _, leaf = path.rpartition("/")
            tree.setdefault(module, {})[leaf] = array
        return form_from_haiku(tree)
    cell = EQUINOX[{"gru": "GRUCell", "lstm": "LSTMCell"}[name]]
    fields = [weights.get(field) for field in ("weight_ih", "weight_hh", "bias", "bias_n")]
    return NetworkForm((Layer(cell, import_weights("equinox", cell, Weights(*fields))),))  # type: ignore[arg-type]


def run(spec: Spec, params: Params, case: dict[str, np.ndarray]) -> Any:
    """h and c after the window, and the outputs; the arrays of a case are ours by the names of `carry`."""
    h0, c0 = (case[n].reshape(-1, *case[n].shape[-2:]) if n in case else None for n in ("h0", "c0"))
    carry = jax.tree.map(jnp.asarray, states_to_carry(spec, h0, c0))
    after, outputs_TBO, _ = build_network(spec, HParams()).apply(params, carry, jnp.asarray(case["x"]))
    return after, outputs_TBO


@pytest.mark.parametrize(("library", "name", "steps"), ALL)
def test_outputs_states_and_gradients_are_those_of_the_library(library: str, name: str, steps: int) -> None:
    case, weights = part(library, f"{name}|{steps}"), part(library, f"{name}|weights")
    spec, params = form_to_program(form_of(library, name, weights))

    def loss(params: Params) -> Any:
        after, outputs = run(spec, params, case)
        return sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves((after, outputs))), (after, outputs)

    with jax.enable_x64(True):
        compiled = jax.jit(jax.value_and_grad(loss, has_aux=True))
        (_, (after, outputs)), gradients = compiled(jax.tree.map(jnp.asarray, params))
    close = partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-12)
    close(outputs[-KEPT:], case["y"])
    for theirs, ours in zip(("h", "c"), carry_to_states(spec, after), strict=True):
        if ours is not None:
            close(ours, case[theirs].reshape(ours.shape))
    theirs = {n.removeprefix("d_"): a for n, a in case.items() if n.startswith("d_") and n != "d_x"}
    check_gradients(library, name, theirs, gradients)


def like(weights: dict[str, np.ndarray], number: float) -> dict[str, np.ndarray]:
    return {name: np.full_like(array, number) for name, array in weights.items()}


def layers_of(library: str, name: str, weights: dict[str, np.ndarray]) -> Params:
    """The parameters of the layers of a case, by layer and direction."""
    params = form_to_program(form_of(library, name, weights))[1]
    return {name: params[name] for name in params if "layer" in name}


def check_gradients(library: str, name: str, theirs: dict[str, np.ndarray], gradients: Params) -> None:
    """Where n biases are added up in one of ours, the gradient of each is that of the sum.

    The way in is affine: from weights of 0 and 1 one reads n, and what the library adds when it runs.
    """
    found, zero, one = (layers_of(library, name, w) for w in (theirs, like(theirs, 0), like(theirs, 1)))
    sums, counts = (jax.tree.map(np.subtract, tree, zero) for tree in (found, one))

    def check(path: Any, ours: Any, total: Any, count: Any) -> None:
        bias = getattr(path[-1], "key", "") == "bias"
        if bias and not count.any():
            return  # a layer without biases
        expected = total / np.abs(count) if bias else total
        np.testing.assert_allclose(np.asarray(ours), expected, rtol=1e-12, atol=1e-12, err_msg=str(path))

    jax.tree_util.tree_map_with_path(check, {layer: gradients[layer] for layer in sums}, sums, counts)


@pytest.mark.slow
def test_masks_are_torchs_packed_sequences() -> None:
    case, weights = part("torch", "packed|9"), part("torch", "packed|weights")
    spec, params = form_to_program(form_from_state_dict(weights))
    mask_TB = np.arange(9)[:, None] < case["lengths"]
    with jax.enable_x64(True):
        network = build_network(spec, HParams())
        params = jax.tree.map(jnp.asarray, params)
        carry = network.carry(params, jax.random.key(0), 2)
        after, outputs, _ = jax.jit(network.apply)(params, carry, jnp.asarray(case["x"]), jnp.asarray(mask_TB))
    np.testing.assert_allclose(outputs, case["y"], rtol=1e-12, atol=1e-12)
    for theirs, ours in zip(("h", "c"), carry_to_states(spec, after), strict=True):
        np.testing.assert_allclose(ours, case[theirs], rtol=1e-12, atol=1e-12)


def test_a_model_of_torch_with_an_embedding_and_a_readout() -> None:
    case = part("torch", "model")
    weights = {name.removeprefix("weights|"): array for name, array in case.items() if name.startswith("weights|")}
    spec, params = form_to_program(form_from_state_dict(weights))
    assert (spec.embedding, spec.inputs, spec.outputs, spec.tied) == (3, 5, 5, False)
    with jax.enable_x64(True):
        network = build_network(spec, HParams())
        params = jax.tree.map(jnp.asarray, params)
        carry = network.carry(params, jax.random.key(0), 2)
        outputs_TBO = jax.jit(network.apply)(params, carry, jnp.asarray(case["ids_BT"].T.astype(np.int32)))[1]
    np.testing.assert_allclose(outputs_TBO.swapaxes(0, 1), case["y_BTO"], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CASES["torch"])
def test_a_state_dict_there_and_back(name: str) -> None:
    """From here to torch and back the same bits; from torch the sum of both biases."""
    weights = part("torch", f"{name}|weights")
    form = program_to_form(*form_to_program(form_from_state_dict(weights)))
    entries = form_to_state_dict(form, ("", "", ""))
    assert {n for n in entries if "bias" not in n} == {n for n in weights if "bias" not in n}
    again = form_from_state_dict(entries)
    assert jax.tree.all(jax.tree.map(np.array_equal, again.layers, form.layers))


@pytest.mark.parametrize("name", CASES["haiku"])
def test_parameters_of_haiku_there_and_back(name: str) -> None:
    form = form_of("haiku", name, part("haiku", f"{name}|weights"))
    again = form_from_haiku(form_to_haiku(form))
    assert jax.tree.all(jax.tree.map(np.allclose, again.layers[0].forward, form.layers[0].forward))
    assert again.layers[0].cell == {"vanilla_rnn": "elman", "gru": "gru_before", "lstm": "lstm"}[name]
