"""The same run alone and in random company: on 12 shapes of networks, at random places and chunk lengths.

The canary: one `vmap` over all runs, without blocks of a fixed width, must differ on some shape, or equal bits of the
others would prove nothing.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.faults.runs import (
    ROW,
    STEPS,
    compiled_once,
    pool_of,
    random_starts,
    row,
    rows,
    sha256,
    small_spec,
    train,
    windows_of,
)
from benchmarks.faults.trial import Trial, Trials
from rnnjax.settings import HParams, Spec
from rnnjax.training.parallel import stack_hparams
from rnnjax.training.step import train_chunk

POOL = 24  # runs to draw the company from
SHAPES = {  # the first is one on which the canary differs
    "elman, H = 64, batch 2, adam": small_spec(hidden=64, batch=2, block=8, optimizer="adam"),
    "elman": small_spec(hidden=16),
    "elman, H = 33, K = 8": small_spec(hidden=33, block=8),
    "elman, relu, K = 2": small_spec(hidden=20, activation="relu", block=2),
    "gru": small_spec(cell="gru", hidden=16),
    "gru, batch 8, K = 16": small_spec(cell="gru", hidden=12, batch=8, block=16),
    "lstm": small_spec(cell="lstm", hidden=16, optimizer="rmsprop"),
    "lstm, 2 layers, norm": small_spec(cell="lstm", layers=2, layer_norm=True, optimizer="adamw", dropout=True),
    "leaky, carried": small_spec(cell="leaky", hidden=16, carry="carried"),
    "elman, K = 1": small_spec(hidden=16, block=1),
    "elman, bidirectional": small_spec(hidden=10, bidirectional=True),
    "elman, last step, nesterov": small_spec(hidden=24, reduction="last", optimizer="nesterov"),
}


def random_chunks(rng: np.random.Generator) -> list[int]:
    """A random way to cut the steps, at whole rows of the record."""
    cuts = ROW * rng.choice(np.arange(1, STEPS // ROW), size=rng.integers(0, STEPS // ROW), replace=False)
    return np.diff(sorted({0, *cuts.tolist(), STEPS})).tolist()


def regroupings_trials(count: int, seed: int, folder: Path) -> Trials:
    """One trial is one run in one company, compared with the same run alone."""
    del folder
    rng, each = np.random.default_rng(seed), -(-count // len(SHAPES))
    shapes = list(SHAPES.items())[: max(1, min(len(SHAPES), count // 10))]
    seen = False  # whether the canary has differed
    for name, spec in shapes:
        with compiled_once():
            yield from regroup(name, spec, each, rng)
        if not seen and plain_vmap_differs(spec):
            seen = True
            yield Trial("canary")
    if not seen:
        yield Trial("canary", "a plain vmap has the same bits on all shapes")


def regroup(name: str, spec: Spec, count: int, rng: np.random.Generator) -> Iterator[Trial]:
    """Trials of one shape."""
    pool = pool_of(spec, POOL)
    starts = random_starts(pool)
    alone = [sha256(row(train([run], rows(starts, [i])), 0)) for i, run in enumerate(pool)]
    tried = 0
    while tried < count:
        company = rng.permutation(POOL)[: int(rng.integers(2, POOL + 1))].tolist()
        chunks = random_chunks(rng)
        together = train([pool[i] for i in company], rows(starts, company), chunks)
        for place, i in enumerate(company[: count - tried]):
            is_same = sha256(row(together, place)) == alone[i]
            yield Trial(name, "" if is_same else f"run {i} at place {place} of {len(company)}, chunks {chunks}")
        tried += len(company)


def plain_vmap_differs(spec: Spec) -> bool:
    """Whether the width of a plain vmap changes the bits of its first run."""
    pool, data = pool_of(spec, POOL), windows_of(spec)
    starts, hp = random_starts(pool), stack_hparams(pool)

    def chunk_of_run(state: Any, hp: HParams) -> Any:
        return train_chunk(spec.program, STEPS, hp, data, state, jnp.int32(STEPS))[0]

    chunk = jax.jit(jax.vmap(chunk_of_run))
    widths = [list(range(width)) for width in (1, 3, 8, POOL)]
    return len({sha256(row(chunk(rows(starts, some), rows(hp, some)), 0)) for some in widths}) > 1
