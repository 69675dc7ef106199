"""One run of a block leaves the finite numbers: its neighbours keep their bits, and its step is recorded exactly."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import jax
import numpy as np

from benchmarks.faults.runs import STEPS, compiled_once, random_starts, row, sha256, small_spec, train
from benchmarks.faults.trial import Trial, Trials
from rnnjax.settings import HParams
from rnnjax.training.optimizers import OPTIMIZERS
from rnnjax.training.parallel import Run
from rnnjax.training.state import TrainState

BLOCK = 4  # runs; each is the one that diverges in turn
Poison = Callable[[TrainState, int], TrainState]


def poisoned(value: float) -> Poison:
    """One parameter of a run has this value from the start."""

    def put(states: TrainState, slot: int) -> TrainState:
        def change(leaf: np.ndarray) -> np.ndarray:
            leaf = np.array(leaf)
            leaf[slot].flat[0] = value
            return leaf

        return states.replace(params=jax.tree.map(change, states.params))

    return put


CAUSES: dict[str, tuple[Poison | None, float]] = {  # -> change of the start, learning rate
    "nan": (poisoned(np.nan), 0.01),
    "inf": (poisoned(np.inf), 0.01),
    "1e38": (poisoned(1e38), 0.01),
    "rate 1e20": (None, 1e20),
    "rate 3e38": (None, 3e38),
}


def divergences_trials(count: int, seed: int, folder: Path) -> Trials:
    """Every optimizer, cause and place in the block in turn; in further rounds with other seeds of the runs."""
    del folder
    cases = list(product(OPTIMIZERS, CAUSES, range(BLOCK)))
    order = np.random.default_rng(seed).permutation(len(cases)) if count < len(cases) else np.arange(len(cases))
    chosen = sorted(order[:count].tolist()) if count < len(cases) else order.tolist()
    with compiled_once():
        for number in range(count):
            optimizer, cause, slot = cases[chosen[number % len(chosen)]]
            yield Trial(
                f"{optimizer}, {cause}", lost_in(optimizer, cause, slot, first_seed=number // len(cases) * BLOCK)
            )


def lost_in(optimizer: str, cause: str, slot: int, first_seed: int) -> str:
    """What is not as promised when the run at a place of the block has this cause; "" for nothing."""
    poison, rate = CAUSES[cause]
    spec = small_spec(optimizer=optimizer, block=BLOCK, log_every=1)
    runs = [Run(0, spec, HParams(seed=first_seed + i)) for i in range(BLOCK)]
    starts = random_starts(runs)
    bad_runs = [
        run._replace(hp=run.hp._replace(learning_rate=rate)) if i == slot else run for i, run in enumerate(runs)
    ]
    bad_starts = poison(starts, slot) if poison else starts
    calm, stormy = train(runs, starts), train(bad_runs, bad_starts)
    changed = [i for i in range(BLOCK) if i != slot and sha256(row(calm, i)) != sha256(row(stormy, i))]
    if changed:
        return f"place {slot}: runs {changed} are not bitwise those beside a calm run"
    return wrong_step(bad_runs[slot], stormy, slot)


def wrong_step(run: Run, found: tuple[TrainState, object], slot: int) -> str:
    """Whether the recorded step is the first whose loss, gradient or parameters are not finite."""
    states, record = found
    loss_S = np.asarray(record.loss)[slot]  # type: ignore[attr-defined]
    at = int(states.diverged_at[slot])
    if not bool(states.alive[slot]):
        finite = all(np.isfinite(leaf[slot]).all() for leaf in jax.tree.leaves(states.params)) or at <= 1
        bad = np.flatnonzero(~np.isfinite(loss_S))
        is_exact = len(bad) > 0 and at in (int(bad[0]), int(bad[0]) + 1) and not np.isfinite(loss_S[bad[0] :]).any()
        return "" if finite and is_exact else f"place {slot}: recorded at {at}, losses {loss_S}"
    return "" if np.isfinite(loss_S).all() and at == -1 else f"place {slot}: alive at {STEPS} with losses {loss_S}"
