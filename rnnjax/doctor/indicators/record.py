"""Indicators that compare training curves with the network: is it the one that was trained, can its numbers move?"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.doctor.adapters import is_float
from rnnjax.doctor.indicators.trends import learned_loss
from rnnjax.doctor.training_curves import MIN_ROWS, RunCurves, TrainingCurves, runs_that_trained

LAST_SHARE = 0.1  # of training, which the loss of the batch is compared with
HIGH = 0.95  # quantile of these rows: a batch may be a hard one
FAR_BELOW = 5.0  # times lower than the last rows


def mismatch_indicator(curves: TrainingCurves, loss_R: np.ndarray) -> dict[str, np.ndarray]:
    """record_mismatch: (loss of the batch - the highest of the last rows) / (first loss - lowest loss), [R].

    Or (the lowest of the last rows - loss of the batch), if the loss is below a fifth of them: dropout alone raises a
    training loss less. The denominator is at least half of the last loss, where little was learned.

    Args: loss_R: what the record is of; not an objective that grows with the size of the batch.
    """
    values_R = np.full(len(curves.loss_RS), np.nan)
    for run, trained in enumerate(runs_that_trained(curves)):
        if len(trained.loss_S) >= MIN_ROWS:
            values_R[run] = mismatch(trained, float(loss_R[run]))
    return {"record_mismatch": values_R}


def mismatch(run: RunCurves, loss: float) -> float:
    """`record_mismatch` of one run; rows after an early stop have the loss of the best parameters."""
    last_S = run.loss_S[-int(np.ceil(LAST_SHARE * len(run.loss_S))) :]
    low, high = np.quantile(last_S, (1 - HIGH, HIGH))
    high = np.fmax(high, run.still_loss)
    below = low - loss if 0 < FAR_BELOW * loss < low else 0.0
    return float(max(loss - high, below) / max(learned_loss(run.loss_S), abs(high) / 2))


def rounding_indicator(curves: TrainingCurves, norm_R: np.ndarray, params: Any) -> dict[str, np.ndarray]:
    """lost_in_rounding: half a rounding step of the parameters / a typical update, both relative to the weights, [R].

    Above 1, most updates change nothing: parameters of 16 bits keep 8 to 11 of them. Absent for float32, where no
    update is that small, and without update norms.
    """
    dtype = most_common_type(params)
    if curves.update_norm_RS is None or jnp.finfo(dtype).bits > 16:
        return {}
    half_step = float(jnp.finfo(dtype).eps) / 4  # relative: between a quarter and a half of eps
    late_RS = curves.update_norm_RS[:, curves.update_norm_RS.shape[1] // 2 :]
    update_R = np.nanmedian(late_RS, axis=1) / np.maximum(norm_R, 1e-30)
    return {"lost_in_rounding": half_step / np.maximum(update_R, 1e-30)}


def most_common_type(params: Any) -> Any:
    """The floating type of most parameters."""
    sizes: dict[Any, int] = {}
    for leaf in jax.tree.leaves(params):
        if is_float(leaf):
            sizes[leaf.dtype] = sizes.get(leaf.dtype, 0) + leaf.size
    return max(sizes, key=lambda dtype: sizes[dtype])
