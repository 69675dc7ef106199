"""The recurrent kernel as a linear map: eigenvalues, norm, departure from normality."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from jax import Array

from rnnjax.errors import NotApplicable
from rnnjax.networks.model import build_layers, layer_size
from rnnjax.settings import HParams, Spec
from rnnjax.settings.metrics import Metric, suffixed_metrics
from rnnjax.training.state import TrainState
from rnnjax.types import Params, Probe, Task, stored_kernel

SPECTRUM_METRICS = {
    "spectral_radius": Metric("max |lambda|, lambda the eigenvalues of the recurrent kernel W"),
    "eigenvalue_departure": Metric("max ||lambda| - 1|, lambda the eigenvalues of the recurrent kernel W"),
    "spectral_norm": Metric("the largest singular value of the recurrent kernel W"),
    "henrici": Metric(
        "sqrt(|W|_F^2 - sum |lambda|^2) / |W|_F, the departure of the recurrent kernel W from normality, in [0, 1]",
        source="Henrici 1962, Numerische Mathematik 4:24",
    ),
}


def kernel_spectrum(kernels_RHH: np.ndarray) -> dict[str, np.ndarray]:
    """Scalars [R] of square matrices W.

    spectral_radius       max |lambda|
    eigenvalue_departure  max | |lambda| - 1 |, the distance of the eigenvalues from the unit circle
    spectral_norm         max singular value
    henrici               sqrt(|W|_F^2 - sum |lambda|^2) / |W|_F, the departure from normality, in [0, 1]

    Source: Henrici 1962, Numerische Mathematik 4:24.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # of kernels near the end of float32; their numbers are inf
        modulus_RH = eigenvalue_moduli(kernels_RHH)
        size_R = np.sum(kernels_RHH**2, axis=(1, 2))
        strictly_upper_R = np.maximum(size_R - np.sum(modulus_RH**2, axis=1), 0)
        return {
            "spectral_radius": modulus_RH.max(axis=1),
            "eigenvalue_departure": np.abs(modulus_RH - 1).max(axis=1),
            "spectral_norm": np.linalg.norm(kernels_RHH, 2, axis=(1, 2)),
            "henrici": np.sqrt(strictly_upper_R / size_R),
        }


def eigenvalue_moduli(kernels_RHH: np.ndarray) -> np.ndarray:
    """|lambda| of square matrices, [R, H]; the largest is the spectral radius."""
    return np.abs(np.linalg.eigvals(kernels_RHH))


def recurrent_kernels(spec: Spec, params: Params) -> dict[str, Any]:
    """The square blocks [..., H, H] of a network's recurrent kernels, by suffix: "", "_forget_layer_1".

    Raises:
        NotApplicable: an opaque cell, whose step has no recurrent kernel.
    """
    cells = build_layers(spec, HParams())
    found = {}
    for layer, cell in cells.items():
        if not cell.gates or getattr(cell, "recurrent_kernel", stored_kernel) is not stored_kernel:
            raise NotApplicable(f"cell: got '{spec.cell}'; expected a native cell for a probe of the recurrent kernel")
        for number, gate in enumerate(cell.gates):
            suffix = (f"_{gate}" if len(cell.gates) > 1 else "") + (f"_{layer}" if len(cells) > 1 else "")
            size = layer_size(spec, layer)
            block = slice(number * size, (number + 1) * size)
            found[suffix] = params[layer]["recurrent_kernel"][..., block] if params else None
    return found


def spectrum(spec: Spec, task: Task) -> Probe:
    """`kernel_spectrum` of the recurrent kernel over training; per gate and layer, where there are several.

    The eigenvalues are NumPy's: XLA has none on TPU, and its batched LAPACK calls can hang when several CPU devices run
    at once.
    """
    del task
    blocks = recurrent_kernels(spec, {})

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del hp, step
        return recurrent_kernels(spec, state.params)

    def summarise(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {
            f"{name}{suffix}": numbers
            for suffix, kernels_RHH in values.items()
            for name, numbers in kernel_spectrum(kernels_RHH).items()
        }

    return Probe(measure, summarise, spectrum_metrics(blocks))


def spectrum_metrics(suffixes: Iterable[str]) -> dict[str, Metric]:
    """SPECTRUM_METRICS of each block of the recurrent kernels, by the suffixes of `recurrent_kernels`."""
    return {
        name: metric
        for suffix in suffixes
        for name, metric in suffixed_metrics(SPECTRUM_METRICS, suffix, block_name(suffix)).items()
    }


def block_name(suffix: str) -> str:
    """A description of a block, "" for a network with a single block."""
    return f"W is the block {suffix[1:]}" if suffix else ""
