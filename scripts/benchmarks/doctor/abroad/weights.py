"""Cases whose weights come from another library, with a slip on the way; its outputs are those of the right weights."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.doctor.abroad.cases import AbroadCase
from rnnjax.doctor import examine
from rnnjax.doctor.diagnosis import Diagnosis
from rnnjax.interop.form import GATES, WITH_GATE_BIAS, Layer, NetworkForm, Readout
from rnnjax.interop.programs import form_to_program
from rnnjax.networks.model import build_network
from rnnjax.settings import HParams
from rnnjax.types import Params

STEPS, STREAMS, D, H, OUTPUTS = 12, 4, 3, 6, 2


def random_layer(cell: str, inputs: int, rng: np.random.Generator) -> Params:
    """The parameters of a cell, all of them other than 0."""
    columns = len(GATES[cell]) * H
    shapes = {"kernel": (inputs, columns), "recurrent_kernel": (H, columns), "bias": (columns,)}
    gate = {"bias": rng.normal(size=H)} if cell in WITH_GATE_BIAS else {}
    return {name: 0.5 * rng.normal(size=shape) for name, shape in shapes.items()} | {"gate": gate}


def swap_blocks(layer: Params) -> Params:
    """The first two blocks of the gates exchanged: torch's order for Keras' weights."""

    def swapped(array: np.ndarray) -> np.ndarray:
        first, second, *rest = np.split(array, array.shape[-1] // H, axis=-1)
        return np.concatenate([second, first, *rest], axis=-1)

    return layer | {name: swapped(layer[name]) for name in ("kernel", "recurrent_kernel", "bias")}


def transpose_blocks(layer: Params) -> Params:
    blocks = np.split(layer["recurrent_kernel"], layer["recurrent_kernel"].shape[1] // H, axis=1)
    return layer | {"recurrent_kernel": np.concatenate([block.T for block in blocks], axis=1)}


def sum_biases(layer: Params) -> Params:
    inner = layer["gate"]["bias"]
    outer = np.concatenate([layer["bias"][: 2 * H], layer["bias"][2 * H :] + inner])
    return layer | {"bias": outer, "gate": {"bias": np.zeros_like(inner)}}


def forget_other_bias(layer: Params) -> Params:
    """A bias that is neither right nor one of the usual slips."""
    return layer | {"bias": np.zeros_like(layer["bias"])}


def unchanged(layer: Params) -> Params:
    return layer


def examine_import(cell: str, slip: Any, carried: bool = False, detached: float | None = None) -> Diagnosis:
    """A network of two layers whose weights have a slip, with the outputs of the right ones.

    Args:
        carried: a state stands before the batch, which the source has dropped.
        detached: share of the steps that have no gradient in the last output, measured in the program of the source.
    """
    rng = np.random.default_rng(0)
    stack = [random_layer(cell, inputs, rng) for inputs in (D, H)]
    readout = Readout(rng.normal(size=(H, OUTPUTS)), rng.normal(size=OUTPUTS))
    x_TBD = rng.normal(size=(STEPS, STREAMS, D)).astype(np.float32)
    truth, wrong = (
        form_to_program(NetworkForm(tuple(Layer(cell, change(layer)) for layer in stack), None, readout),
                        loss="squared_error")
        for change in (unchanged, slip)
    )  # fmt: skip
    network = build_network(truth[0], HParams())
    params = jax.tree.map(jnp.asarray, truth[1])
    zero = network.carry(params, jax.random.key(0), STREAMS)
    y_TBO = np.asarray(jax.jit(network.apply)(params, zero, x_TBD)[1])
    before = jax.tree.map(lambda leaf: leaf + 0.8, zero) if carried else None
    targets_TBO = y_TBO + 0.3 * rng.normal(size=y_TBO.shape).astype(np.float32)
    return examine(wrong[0], wrong[1], (x_TBD, targets_TBO), carry=before, reference=y_TBO, detached=detached)


CASES = (
    AbroadCase("weights", "gates_of_keras", "permuted_blocks", partial(examine_import, "gru", swap_blocks)),
    AbroadCase("weights", "gates_of_an_lstm", "permuted_blocks", partial(examine_import, "lstm", swap_blocks)),
    AbroadCase("weights", "biases_in_one", "summed_biases", partial(examine_import, "gru", sum_biases)),
    AbroadCase("weights", "square_kernels", "transposed_kernels", partial(examine_import, "elman", transpose_blocks)),
    AbroadCase("weights", "dropped_state", "uncarried_state", partial(examine_import, "lstm", unchanged, True)),
    AbroadCase("weights", "lost_biases", "other_outputs", partial(examine_import, "lstm", forget_other_bias)),
    AbroadCase("weights", "right_gru", "", partial(examine_import, "gru", unchanged)),
    AbroadCase("weights", "detached_steps", "detached_state", partial(examine_import, "gru", unchanged, detached=1.0)),
    AbroadCase("weights", "attached_steps", "", partial(examine_import, "gru", unchanged, detached=0.0)),
    AbroadCase("weights", "right_lstm", "", partial(examine_import, "lstm", unchanged)),
)
