"""Whether an objective is a distance of outputs and targets, so that simple predictors of the targets are its levels.

The best constant output of a squared error is the mean of the targets, that of an absolute error their median. An
objective whose best constant lies elsewhere reads the outputs in another way: as logarithms of a rate, as logits of
several labels, as margins.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.doctor.batch import Batch, boolean_mask

Objective = Callable[[Array, Batch], Array]
GRID = 161  # outputs that are tried for the best constant
NEAR = 0.2  # standard deviations of the targets
LINKS: Mapping[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "identity": (lambda y: y, lambda m: m),
    "exp": (jnp.exp, lambda m: jnp.log(jnp.maximum(m, 1e-30))),
    "softplus": (jax.nn.softplus, lambda m: m + jnp.log(-jnp.expm1(-jnp.maximum(m, 1e-6)))),
    "sigmoid": (jax.nn.sigmoid, lambda m: jnp.log(m) - jnp.log1p(-m)),
}
"""Name -> (outputs to predictions, its inverse)."""


def find_link(objective: Objective, batch: Batch) -> str | None:
    """The name of the function that turns outputs into predictions of the targets; None if no known one does.

    The best constant output of each column is sought, the others held at theirs, and compared with mean and median.
    """
    targets_NO = np.asarray(batch.targets, float)[boolean_mask(batch)]
    deviations_O = targets_NO.std(axis=0)
    if not (deviations_O > 0).all():
        return "identity"
    for name, (link, inverse) in LINKS.items():
        if name == "sigmoid" and not np.isin(targets_NO, (0, 1)).all():
            continue
        if name in ("exp", "softplus") and targets_NO.min() < 0:
            continue
        if is_link(objective, batch, targets_NO, link, inverse):
            return name
    return None


def is_link(
    objective: Objective, batch: Batch, targets_NO: np.ndarray, link: Callable[..., Any], inverse: Callable[..., Any]
) -> bool:
    """Whether the best constant output of each column, through a link, lies at the mean or median of its targets."""
    center_O = jnp.asarray(inverse(jnp.asarray(targets_NO.mean(axis=0))))
    if not np.isfinite(center_O).all():
        return False
    shape = (*np.shape(batch.targets)[:2], len(center_O))

    def value(outputs_O: Array) -> Array:
        return objective(jnp.broadcast_to(outputs_O, shape), batch)

    for column, target_N in enumerate(targets_NO.T):
        deviation, ends = target_N.std(), sorted((target_N.mean(), np.median(target_N)))
        predictions = np.linspace(ends[0] - 3 * deviation, ends[1] + 3 * deviation, GRID)
        outputs = np.asarray(inverse(jnp.asarray(predictions)))
        known = np.isfinite(outputs)
        tried = jnp.asarray(center_O)[None].repeat(int(known.sum()), 0).at[:, column].set(outputs[known])
        losses = np.asarray(jax.lax.map(value, tried))
        if not np.isfinite(losses).any():
            return False
        best = float(link(jnp.asarray(outputs[known][int(np.nanargmin(losses))])))
        if not ends[0] - NEAR * deviation <= best <= ends[1] + NEAR * deviation:
            return False
    return True


def is_cross_entropy_of_probabilities(objective: Objective, batch: Batch, width: int) -> bool:
    """Whether an objective of targets 0 and 1 is -t log y - (1 - t) log(1 - y), up to weights and a constant."""
    points = np.linspace(0.1, 0.9, 9)
    shape = (*np.shape(batch.targets)[:2], width)
    values = np.array([float(objective(jnp.full(shape, point), batch)) for point in points])
    if not np.isfinite(values).all() or not np.ptp(values) > 0:
        return False
    terms = np.stack([-np.log(points), -np.log(1 - points), np.ones_like(points)], axis=1)
    weights, *_ = np.linalg.lstsq(terms, values, rcond=None)
    residual = np.abs(terms @ weights - values).max()
    return bool(residual < 1e-3 * np.ptp(values) and weights[0] > 0 and weights[1] > 0)
