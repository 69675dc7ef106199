"""The recurrent kernel as a linear map: its eigenvalues, its norm, how far it is from normal."""

from typing import Any

import numpy as np
from jax import Array

from rnnjax.errors import NotApplicable
from rnnjax.networks.model import build_layers
from rnnjax.settings import HParams, Spec
from rnnjax.training.state import TrainState
from rnnjax.types import OpaqueCell, Params, Probe, Task


def spectrum_of(kernels_RHH: np.ndarray) -> dict[str, np.ndarray]:
    """Scalars [R] of square matrices W.

    spectral_radius       max |lambda|
    eigenvalue_departure  max | |lambda| - 1 |, the distance of the eigenvalues from the unit circle
    spectral_norm         max singular value
    henrici               sqrt(|W|_F^2 - sum |lambda|^2) / |W|_F, the departure from normality, in [0, 1]

    Source: Henrici 1962, Numerische Mathematik 4:24.
    """
    modulus_RH = np.abs(np.linalg.eigvals(kernels_RHH))
    size_R = np.sum(kernels_RHH**2, axis=(1, 2))
    strictly_upper_R = np.maximum(size_R - np.sum(modulus_RH**2, axis=1), 0)
    return {
        "spectral_radius": modulus_RH.max(axis=1),
        "eigenvalue_departure": np.abs(modulus_RH - 1).max(axis=1),
        "spectral_norm": np.linalg.norm(kernels_RHH, 2, axis=(1, 2)),
        "henrici": np.sqrt(strictly_upper_R / size_R),
    }


def recurrent_kernels(spec: Spec, params: Params) -> dict[str, Any]:
    """The square blocks [..., H, H] of a network's recurrent kernels, by what tells them apart: "", "_forget_layer_1".

    Raises:
        NotApplicable: the cell cannot be taken apart.
    """
    cells = build_layers(spec, HParams())
    found = {}
    for layer, cell in cells.items():
        if isinstance(cell, OpaqueCell):
            raise NotApplicable(f"cell: got '{spec.cell}'; expected one of ours for a probe of the recurrent kernel")
        for number, gate in enumerate(cell.gates):
            suffix = (f"_{gate}" if len(cell.gates) > 1 else "") + (f"_{layer}" if len(cells) > 1 else "")
            block = slice(number * spec.hidden, (number + 1) * spec.hidden)
            found[suffix] = params[layer]["recurrent_kernel"][..., block] if params else None
    return found


def spectrum(spec: Spec, task: Task) -> Probe:
    """`spectrum_of` the recurrent kernel over training; of each gate's block and each layer's, where there are several.

    The eigenvalues are NumPy's: XLA has none on TPU, and its batched LAPACK calls can hang when several CPU devices run
    at once.
    """
    del task
    recurrent_kernels(spec, {})

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del hp, step
        return recurrent_kernels(spec, state.params)

    def summarise(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {
            f"{name}{suffix}": numbers
            for suffix, kernels_RHH in values.items()
            for name, numbers in spectrum_of(kernels_RHH).items()
        }

    return Probe(measure, summarise)
