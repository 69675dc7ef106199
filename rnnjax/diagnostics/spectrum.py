"""The recurrent kernel as a linear map: its eigenvalues, its norm, how far it is from normal."""

import numpy as np
from jax import Array

from rnnjax.settings import HParams, Spec
from rnnjax.train import TrainState
from rnnjax.types import Probe, Task


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


def spectrum(spec: Spec, task: Task) -> Probe:
    """`spectrum_of` the recurrent kernel over training.

    The eigenvalues are NumPy's: XLA has none on TPU, and its batched LAPACK calls can hang when several CPU devices run
    at once.
    """
    del spec, task

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del hp, step
        return {"kernel": state.params["cell"]["recurrent_kernel"]}

    def summarise(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return spectrum_of(values["kernel"])

    return Probe(measure, summarise)
