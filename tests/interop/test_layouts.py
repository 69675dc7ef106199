"""The table of layouts: both directions, against blocks that are marked by name."""

from dataclasses import replace

import numpy as np
import pytest

from rnnjax.errors import BadInput
from rnnjax.interop.flax_trees import form_to_linen
from rnnjax.interop.form import GATES, WITH_GATE_BIAS, Layer, NetworkForm, Readout, check_form
from rnnjax.interop.layouts import LAYOUTS, Weights, export_weights, import_weights
from rnnjax.interop.programs import LINEN_CELLS, carry_to_states, form_to_program, program_to_form, states_to_carry
from rnnjax.settings import Spec
from rnnjax.types import Params

D, H = 3, 2
MARKS = {"reset": 1.0, "update": 2.0, "new": 3.0, "input": 4.0, "forget": 5.0, "output": 6.0}


def random_params(cell: str, seed: int = 0) -> Params:
    rng, columns = np.random.default_rng(seed), len(GATES[cell]) * H
    gate = {"bias": rng.normal(size=H)} if cell in WITH_GATE_BIAS else {}
    names = {"kernel": (D, columns), "recurrent_kernel": (H, columns), "bias": (columns,)}
    return {name: rng.normal(size=shape) for name, shape in names.items()} | {"gate": gate}


@pytest.mark.parametrize(("library", "cell"), LAYOUTS)
def test_each_block_comes_to_its_gate(library: str, cell: str) -> None:
    """Weights of a library are written block by block from its order; each block carries the mark of its gate."""
    layout = LAYOUTS[library, cell]
    marks = np.repeat([MARKS[gate] for gate in layout.gates], H)
    signs = np.repeat([-1.0 if gate in layout.negated else 1.0 for gate in layout.gates], H)
    kernels = [np.tile(marks * signs, (rows, 1)) for rows in (D, H)]
    kernels = [kernel.T if layout.transposed else kernel for kernel in kernels]
    second = {"all": 10 * marks, "new": np.full(H, 10 * MARKS["new"]), "none": None}[layout.recurrent_bias]
    params = import_weights(library, cell, Weights(*kernels, marks * signs, second))
    expected = np.repeat([MARKS[gate] for gate in GATES[cell]], H)
    assert np.array_equal(params["kernel"], np.tile(expected, (D, 1)))
    assert np.array_equal(params["recurrent_kernel"], np.tile(expected, (H, 1)))
    bias = expected + 10 * expected * (second is not None and layout.recurrent_bias == "all")
    if cell in WITH_GATE_BIAS:
        bias[-H:] = MARKS["new"]
        assert np.array_equal(params["gate"]["bias"], np.full(H, 0 if second is None else 10 * MARKS["new"]))
    added = np.repeat([layout.added.get(gate, 0.0) for gate in GATES[cell]], H)
    assert np.array_equal(params["bias"], bias + added)


@pytest.mark.parametrize(("library", "cell"), LAYOUTS)
def test_there_and_back_are_the_same_bits(library: str, cell: str) -> None:
    params = random_params(cell)
    if cell in WITH_GATE_BIAS and LAYOUTS[library, cell].recurrent_bias == "none":
        with pytest.raises(BadInput, match=r"^gate.bias: got numbers other than 0, for which the gru of nnx"):
            export_weights(library, cell, params)
        params["gate"]["bias"] *= 0
    again = import_weights(library, cell, export_weights(library, cell, params))
    for name in ("kernel", "recurrent_kernel", "bias"):
        exact = not LAYOUTS[library, cell].added or name != "bias"  # b - 1 + 1 is b to the last digit but one
        assert np.array_equal(again[name], params[name]) or (not exact and np.allclose(again[name], params[name]))
    assert all(np.array_equal(again["gate"][name], params["gate"][name]) for name in params["gate"])


def two_layers(cell: str = "lstm") -> NetworkForm:
    first = Layer(cell, random_params(cell), random_params(cell, 1))
    wide = [random_params(cell, seed) for seed in (2, 3)]
    for params in wide:
        params["kernel"] = np.ones((2 * H, params["kernel"].shape[1]))
    rng = np.random.default_rng(4)
    return NetworkForm((first, Layer(cell, *wide)), None, Readout(rng.normal(size=(2 * H, 5)), rng.normal(size=5)))


def test_a_form_is_a_program_and_back() -> None:
    form = two_layers()
    spec, params = form_to_program(form)
    assert (spec.cell, spec.hidden, spec.layers, spec.bidirectional, spec.inputs, spec.outputs) == (
        *("lstm", H, 2, True),
        *(D, 5),
    )
    again = program_to_form(spec, params)
    assert np.array_equal(again.layers[1].backward["bias"], form.layers[1].backward["bias"])  # type: ignore[index]
    assert again.readout is not None and np.array_equal(again.readout.kernel, form.readout.kernel)  # type: ignore[union-attr]
    bare = form._replace(readout=None)
    assert program_to_form(*form_to_program(bare)).readout is None


def test_a_form_that_does_not_fit_is_refused() -> None:
    form = two_layers()
    short = form.layers[1].forward | {"bias": np.zeros(3)}
    bad = {
        r"^layer_1.bias: got shape \[3\]; expected \[8\]$": (form.layers[0], form.layers[1]._replace(forward=short)),
        r"^layer_1.kernel: got shape \[3, 8\]; expected \[4, 8\]$": (form.layers[0], form.layers[0]),
    }
    for message, layers in bad.items():
        with pytest.raises(BadInput, match=message):
            check_form(form._replace(layers=layers))
    form.layers[0].forward["recurrent_kernel"][1, 3] = np.nan
    with pytest.raises(BadInput, match=r"^layer_0.recurrent_kernel: got nan at \[1, 3\]; expected finite weights$"):
        check_form(form)
    other = Layer("gru", random_params("gru"))
    wider = Layer("lstm", random_params("lstm") | {"kernel": np.ones((H, 4 * H))})
    with pytest.raises(BadInput, match=r"^network: got layers with the cells gru, lstm; expected the same in all$"):
        form_to_program(NetworkForm((other, wider)))


def test_programs_that_no_library_has_are_refused() -> None:
    spec, params = form_to_program(two_layers())
    with pytest.raises(BadInput, match=r"^cell: got 'leaky', which no other library has"):
        program_to_form(Spec(cell="leaky"), params)
    with pytest.raises(BadInput, match=r"^layer_norm: got true"):
        program_to_form(Spec(cell="lstm", layer_norm=True), params)
    with pytest.raises(BadInput, match=r"^initial_state: got 'learned'"):
        program_to_form(Spec(cell="lstm", initial_state="learned"), params)
    assert spec.cell == "lstm"


def test_states_are_a_carry_and_back() -> None:
    spec = Spec(cell="lstm", hidden=H, layers=2, bidirectional=True)
    h, c = np.random.default_rng(0).normal(size=(2, 4, 3, H))
    carry = states_to_carry(spec, h, c)
    assert np.array_equal(carry["backward_layer_1"][0], c[3]) and np.array_equal(carry["layer_1"][1], h[2])
    again = carry_to_states(spec, carry)
    assert np.array_equal(again[0], h) and np.array_equal(again[1], c)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=r"^cell_state: got none for the cell 'lstm'"):
        states_to_carry(spec, h)
    with pytest.raises(BadInput, match=r"^hidden: got shape \[3, 3, 2\]; expected \[4, B, 2\]$"):
        states_to_carry(spec, h[:3], c)


@pytest.mark.parametrize(("cell", "native"), LINEN_CELLS.items())
def test_cells_of_flax_go_out_as_ours(cell: str, native: str) -> None:
    form = NetworkForm((Layer(native, random_params(native)),))
    theirs = form_to_linen(form)["params"]["RNN_0"]["cell"]
    spec, params = form_to_program(form)
    again = program_to_form(replace(spec, cell=cell, activation="relu"), params | {"layer_0": theirs})
    assert (again.layers[0].cell, again.layers[0].activation) == (native, "tanh")
    for name in ("kernel", "recurrent_kernel", "bias"):
        assert np.array_equal(again.layers[0].forward[name], form.layers[0].forward[name])
