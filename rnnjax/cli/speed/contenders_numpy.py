"""The contender in NumPy: back-propagation through time by hand.

A cell's way back takes the gradient of the new carry to that of (old carry, u, r).
"""

from typing import Any

import numpy as np

from rnnjax.cli.speed.contenders import (
    CELLS,
    CLIP_NORM,
    LEARNING_RATE,
    LEAVES,
    VOCABULARY,
    Carry,
    Library,
    Params,
    Size,
    Stepper,
    start,
    windows,
)


def numpy_sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * np.tanh(0.5 * x) + 0.5  # never overflows


def elman_back(params: Params, old: Carry, new: Carry, u: np.ndarray, r: np.ndarray, d: Carry) -> Any:
    d_u = d[0] * (1 - new[0] ** 2)
    return (np.zeros_like(d_u),), d_u, d_u


def lstm_back(params: Params, old: Carry, new: Carry, u: np.ndarray, r: np.ndarray, d: Carry) -> Any:
    i, f, g, o = np.split(u + r, 4, axis=-1)
    i, f, o, g, tanh_c = numpy_sigmoid(i), numpy_sigmoid(f), numpy_sigmoid(o), np.tanh(g), np.tanh(new[1])
    d_c = d[1] + d[0] * o * (1 - tanh_c**2)
    parts = [d_c * g * i * (1 - i), d_c * old[1] * f * (1 - f), d_c * i * (1 - g**2), d[0] * tanh_c * o * (1 - o)]
    d_u = np.concatenate(parts, axis=-1)
    return (np.zeros_like(d_c), d_c * f), d_u, d_u


def gru_back(params: Params, old: Carry, new: Carry, u: np.ndarray, r: np.ndarray, d: Carry) -> Any:
    (u_r, u_z, u_n), (r_r, r_z, r_n) = np.split(u, 3, axis=-1), np.split(r, 3, axis=-1)
    reset, z, inner = numpy_sigmoid(u_r + r_r), numpy_sigmoid(u_z + r_z), r_n + params["inner_bias"]
    n = np.tanh(u_n + reset * inner)
    d_n = d[0] * (1 - z) * (1 - n**2)
    d_gates = [d_n * inner * reset * (1 - reset), d[0] * (old[0] - n) * z * (1 - z)]
    return (
        (d[0] * z,),
        np.concatenate([*d_gates, d_n], axis=-1),
        np.concatenate([*d_gates, d_n * reset], axis=-1),
    )


BACK = {"elman": elman_back, "lstm": lstm_back, "gru": gru_back}
NUMPY = Library(np.tanh, numpy_sigmoid, lambda x, n: np.split(x, n, axis=-1))
ONE_HOT = np.eye(VOCABULARY, dtype=np.float32)


def numpy_gradient(cell: str, params: Params, carry: Carry, x_TB: Any, y_TB: Any) -> tuple[float, Params, Carry]:
    """(loss, gradient, carry) of one run; each kernel's gradient is one product after the walk back."""
    u_TBG = params["kernel"][x_TB] + params["bias"]
    walk = []
    for u in u_TBG:
        old, r = carry, carry[0] @ params["recurrent"]
        carry = CELLS[cell](NUMPY, params, old, u, r)
        walk.append((old, carry, u, r))
    h_TBH, h_before_TBH = np.stack([new[0] for _, new, *_ in walk]), np.stack([old[0] for old, *_ in walk])
    loss, d_logits = numpy_cross_entropy(h_TBH @ params["readout"] + params["readout_bias"], y_TB)

    d_h_TBH, d_us, d_rs = d_logits @ params["readout"].T, [], []
    d_carry: Carry = tuple(np.zeros_like(leaf) for leaf in carry)
    for (old, new, u, r), d_h in zip(reversed(walk), reversed(d_h_TBH), strict=True):
        d_carry, d_u, d_r = BACK[cell](params, old, new, u, r, (d_carry[0] + d_h, *d_carry[1:]))
        d_carry = (d_carry[0] + d_r @ params["recurrent"].T, *d_carry[1:])
        d_us.append(d_u)
        d_rs.append(d_r)
    d_u_NG, d_r_NG = (np.concatenate(steps[::-1]) for steps in (d_us, d_rs))
    d_logits_NV = d_logits.reshape(-1, VOCABULARY)
    gradient = {
        "kernel": ONE_HOT[x_TB.reshape(-1)].T @ d_u_NG,
        "recurrent": h_before_TBH.reshape(len(d_r_NG), -1).T @ d_r_NG,
        "bias": d_u_NG.sum(0),
        "readout": h_TBH.reshape(len(d_r_NG), -1).T @ d_logits_NV,
        "readout_bias": d_logits_NV.sum(0),
    }
    if cell == "gru":
        gradient["inner_bias"] = np.split(d_r_NG, 3, axis=-1)[2].sum(0)
    return loss, gradient, carry


def numpy_cross_entropy(logits_TBV: np.ndarray, y_TB: np.ndarray) -> tuple[float, np.ndarray]:
    """(the sum over T of the mean over B, its gradient)."""
    shifted = logits_TBV - logits_TBV.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    losses_TB1 = -np.take_along_axis(log_p, y_TB[..., None], axis=-1)
    return float(losses_TB1.sum() / y_TB.shape[1]), (np.exp(log_p) - ONE_HOT[y_TB]) / y_TB.shape[1]


def numpy_update(params: Params, gradient: Params) -> None:
    """The clip and the SGD step, in place."""
    norm = np.sqrt(sum(float((leaf**2).sum()) for leaf in gradient.values()))
    rate = LEARNING_RATE * min(1.0, CLIP_NORM / max(norm, 1e-30))
    for name, leaf in params.items():
        leaf -= np.float32(rate) * gradient[name]


def numpy_one(size: Size) -> tuple[Stepper, int]:
    """NumPy, one run at a time."""
    params, data = start(size), windows(size)
    held: list[Carry] = [tuple([np.zeros((size.batch, size.hidden), np.float32)] * LEAVES[size.cell])]

    def step(steps: int) -> None:
        for i in range(steps):
            window = i % len(data.inputs_WTB)
            x_TB, y_TB = data.inputs_WTB[window], data.targets_WTB[window]
            _, gradient, held[0] = numpy_gradient(size.cell, params, held[0], x_TB, y_TB)
            numpy_update(params, gradient)

    return step, 1
