"""Series that are generated: two that follow from their past, four that are drawn.

Each generator takes a number of steps and a source of randomness and gives the values [N], float64.
"""

from collections.abc import Callable

import numpy as np

Generator = Callable[[int, np.random.Generator], np.ndarray]

PERIODS = (10 * np.sqrt(2), 10 * np.sqrt(5), 10 * np.sqrt(11))  # steps; no ratio of two of them is rational
AR_COEFFICIENTS = (1.5, -0.75)  # roots of modulus 0.866: a damped swing of 12 steps
INNOVATION_VARIANCE = 1.0  # of what is new at each step of those that are drawn
AR_WARM_UP = 500  # steps; 0.866^500 of the start is left

MACKEY_GLASS_DELAY = 17  # tau, time units
MACKEY_GLASS_RATE = 0.2  # beta; the exponent is 10
MACKEY_GLASS_DECAY = 0.1  # gamma
MACKEY_GLASS_WARM_UP = 1_000  # time units until the start is on the attractor
STEPS_PER_UNIT = 10  # of the integration; one time unit is one step of the series


def sines(steps: int, rng: np.random.Generator) -> np.ndarray:
    """x_t = sum_k sin(2 pi t / P_k + phase_k), the phases drawn once; never repeats."""
    phases_K = rng.uniform(0, 2 * np.pi, len(PERIODS))
    turns_KN = np.arange(steps) / np.array(PERIODS)[:, None]
    return np.sin(2 * np.pi * turns_KN + phases_K[:, None]).sum(axis=0)


def mackey_glass(steps: int, rng: np.random.Generator) -> np.ndarray:
    """The Mackey-Glass series on its attractor; the constant past before it is drawn from [1.1, 1.4)."""
    start = rng.uniform(1.1, 1.4)  # away from the fixed point 1, where it would stay long
    return delayed_feedback(MACKEY_GLASS_WARM_UP + steps, start)[MACKEY_GLASS_WARM_UP:]


def delayed_feedback(steps: int, start: float) -> np.ndarray:
    """x at t = 0, 1, 2 ... of dx/dt = beta x(t - tau) / (1 + x(t - tau)^10) - gamma x, with x = start until t = 0.

    Runge-Kutta of fourth order with steps of 1/10; the delayed value in the middle of a step is the cubic through the
    four values around it. Over 170 units the error is 5e-5, all but 1e-7 of it from the corner at t = 0.

    Source: Mackey & Glass 1977, Science 197:287.
    """
    delay = MACKEY_GLASS_DELAY * STEPS_PER_UNIT
    x = [start] * (delay + 2)  # x[-1] is now; one value more than the delay, for the cubic
    for _ in range((steps - 1) * STEPS_PER_UNIT):
        before, early, late, after = x[-delay - 2 : -delay + 2]
        middle = (9 * (early + late) - before - after) / 16
        x.append(_runge_kutta(x[-1], _production(early), _production(middle), _production(late)))
    return np.array(x[delay + 1 :: STEPS_PER_UNIT])


def _production(delayed: float) -> float:
    """Written as products, which round alike on every machine; this is chaos, and a library's power need not."""
    square = delayed * delayed
    return MACKEY_GLASS_RATE * delayed / (1 + square * square * square * square * square)


def _runge_kutta(x: float, early: float, middle: float, late: float) -> float:
    """One step of dx/dt = production - gamma x, the production known at its beginning, middle and end."""
    step = 1 / STEPS_PER_UNIT
    first = early - MACKEY_GLASS_DECAY * x
    second = middle - MACKEY_GLASS_DECAY * (x + step / 2 * first)
    third = middle - MACKEY_GLASS_DECAY * (x + step / 2 * second)
    fourth = late - MACKEY_GLASS_DECAY * (x + step * third)
    return x + step / 6 * (first + 2 * second + 2 * third + fourth)


def autoregression(steps: int, rng: np.random.Generator) -> np.ndarray:
    """x_t = a_1 x_{t-1} + a_2 x_{t-2} + e_t, e_t normal; a stationary draw."""
    innovations_N = noise(AR_WARM_UP + steps, rng)
    return np.array(_run_autoregression(innovations_N.tolist())[AR_WARM_UP:])


def _run_autoregression(innovations: list[float]) -> list[float]:
    x = [0.0, 0.0]
    for innovation in innovations:
        x.append(AR_COEFFICIENTS[0] * x[-1] + AR_COEFFICIENTS[1] * x[-2] + innovation)
    return x[2:]


def walk(steps: int, rng: np.random.Generator) -> np.ndarray:
    """x_t = x_{t-1} + e_t from 0, e_t normal."""
    return np.cumsum(noise(steps, rng))


def noise(steps: int, rng: np.random.Generator) -> np.ndarray:
    """x_t = e_t, normal and independent."""
    return rng.normal(0, np.sqrt(INNOVATION_VARIANCE), steps)


def uniform(steps: int, rng: np.random.Generator) -> np.ndarray:
    """x_t = e_t, independent and uniform around 0: between -sqrt(3) and sqrt(3), where the variance is 1."""
    half = np.sqrt(3 * INNOVATION_VARIANCE)
    return rng.uniform(-half, half, steps)


DETERMINISTIC: dict[str, Generator] = {"sines": sines, "mackey_glass": mackey_glass}  # from a past, one future
RANDOM: dict[str, Generator] = {"ar": autoregression, "walk": walk, "noise": noise, "uniform": uniform}
