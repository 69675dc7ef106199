"""The order of sequences: every one once in an epoch, from the run's seed alone; batches of a few lengths."""

from dataclasses import replace
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.tasks.sequences.layout import lay_out, packed_rows, plan_lengths, row_lengths, training_pool
from rnnjax.training.shuffling import draw_rows, permute_positions, sequence_batch
from rnnjax.training.state import TrainState, init_state
from rnnjax.training.step import WindowGradient, compute_gradient, train_chunk
from rnnjax.types import SequenceParts, SequencePool, SequenceRows, SequenceSet

KEY = jax.random.key(7)
order = jax.jit(permute_positions, static_argnums=2)
drawn = jax.jit(draw_rows, static_argnums=(1, 2))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 16, 17, 100, 257])
def test_shuffled_numbers_are_a_permutation(count: int) -> None:
    found = order(KEY, jnp.arange(count, dtype=jnp.uint32), count)
    np.testing.assert_array_equal(np.sort(found), np.arange(count))


def test_every_place_is_equally_likely() -> None:
    """Chi-square of the place of each of 10 numbers over 2,000 keys: 81 degrees of freedom, mean 81, deviation 13."""
    keys = jax.random.split(KEY, 2_000)
    places = np.asarray(jax.vmap(lambda key: permute_positions(key, jnp.arange(10, dtype=jnp.uint32), 10))(keys))
    counts = np.stack([np.bincount(places[:, i], minlength=10) for i in range(10)])
    assert ((counts - 200) ** 2 / 200).sum() < 81 + 4 * 13


def test_an_epoch_has_every_sequence_once_whatever_the_batch() -> None:
    count, batch = 10, 4
    rows = np.concatenate([drawn(KEY, batch, count, jnp.int32(draw)) for draw in range(10)]).reshape(4, count)
    for epoch in rows:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(count))
    assert len({tuple(epoch) for epoch in rows}) == 4


def test_lengths_come_in_proportion_and_evenly() -> None:
    sizes = [60, 30, 10]
    plan, rank = plan_lengths(sizes)
    np.testing.assert_array_equal(np.bincount(plan), sizes)
    for k in range(3):
        np.testing.assert_array_equal(rank[plan == k], np.arange(sizes[k]))
        assert abs((plan[:50] == k).sum() - sizes[k] / 2) <= 1


def brute_force_padding(lengths: np.ndarray, count: int) -> int:
    """The fewest steps that rows of at most `count` lengths have, over all choices."""
    different = sorted(set(lengths.tolist()))
    choices = [c for k in range(1, count + 1) for c in combinations(different, k) if different[-1] in c]
    return min(sum(min(one for one in choice if one >= length) for length in lengths) for choice in choices)


@pytest.mark.parametrize("count", [1, 2, 3, 20])
def test_row_lengths_pad_the_fewest_steps(count: int) -> None:
    lengths = np.random.default_rng(1).integers(1, 12, size=30)
    found = np.array(row_lengths(lengths, count))
    steps = sum(int(found[np.searchsorted(found, length)]) for length in lengths)
    assert steps == brute_force_padding(lengths, count) and len(found) <= count


def test_packed_rows_hold_every_sequence_once_and_little_else() -> None:
    lengths = np.random.default_rng(2).integers(7, 30, size=400)
    rows = packed_rows(lengths, 29)
    assert sorted(n for row in rows for n in row) == list(range(400))
    steps = [int(lengths[row].sum()) for row in rows]
    assert max(steps) <= 29 and lengths.sum() / (29 * len(rows)) > 0.85


def labelled_set(lengths: list[int], classes: int = 3) -> SequenceSet:
    rng = np.random.default_rng(0)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    mask = np.zeros(offsets[-1], np.float32)
    mask[offsets[1:] - 1] = 1
    targets = (rng.integers(classes, size=offsets[-1]) * (mask > 0)).astype(np.int32)
    return SequenceSet(rng.normal(size=(offsets[-1], 2)).astype(np.float32), targets, mask, offsets)


LENGTHS = [3, 5, 2, 5, 3, 1, 4, 5, 2, 3]
DATA = labelled_set(LENGTHS)
SPEC = Spec(
    task=TaskSpec(name="sequences"), hidden=4, inputs=2, outputs=3, batch=3, window=5, reduction="mean", log_every=1
)


def pool_of(lengths: tuple[int, ...], packed: bool = False, **more: object) -> SequencePool:
    return training_pool(SequenceParts(DATA, DATA, lengths, packed, **more), ())  # type: ignore[arg-type]


# Without optimisation, which takes less time; one program for all pools with the same shapes.
PROGRAM = jax.jit(
    compute_gradient, static_argnames=("spec", "hp"), compiler_options={"xla_backend_optimization_level": 0}
)


def gradient(spec: Spec, hp: HParams, pool: SequencePool, state: TrainState, step: int = 0) -> WindowGradient:
    return PROGRAM(spec, hp, pool, state.replace(step=jnp.int32(step)), jnp.int32(step))


def of_rows(rows: SequenceRows) -> SequencePool:
    return SequencePool((rows,), np.zeros(1, np.int32), np.zeros(1, np.int32))


@pytest.mark.slow
def test_a_batch_of_one_length_has_the_gradient_of_the_longest() -> None:
    """The sequences that a bucket of length 3 draws, padded to 5, have the same loss and gradient."""
    short, hp = pool_of((3, 5)), HParams(seed=3)
    state = init_state(SPEC, hp)
    step = int(np.flatnonzero(short.plan_S == 0)[0])
    window = sequence_batch(hp, short, 0, 3, jnp.int32(short.rank_S[step]))
    found = gradient(SPEC, hp, short, state, step)
    ids = [n for n in range(10) if LENGTHS[n] <= 3]
    starts = [np.asarray(DATA.inputs_R[DATA.offsets_N[n]]) for n in ids]
    chosen = [ids[int(np.argmin([np.abs(row - one).sum() for one in starts]))] for row in window.inputs_WTB[0]]
    rows = lay_out(DATA, [[n] for n in chosen], 5)
    every = gradient(SPEC, hp, of_rows(rows), state)
    np.testing.assert_allclose(found.loss, every.loss, atol=1e-6)
    np.testing.assert_allclose(ravel_pytree(found.gradient)[0], ravel_pytree(every.gradient)[0], atol=1e-6)


@pytest.mark.slow
def test_packed_rows_have_the_loss_of_their_sequences_one_at_a_time() -> None:
    hp = HParams(seed=3)
    state = init_state(SPEC, hp)
    found = gradient(SPEC, hp, pool_of((5,), packed=True), state)
    window = sequence_batch(hp, pool_of((5,), packed=True), 0, 3, jnp.int32(0))
    firsts = np.asarray(window.inputs_WTB)[np.asarray(window.starts_WTB)]
    starts = DATA.inputs_R[DATA.offsets_N[:-1]]
    chosen = [int(np.argmin(np.abs(starts - row).sum(axis=1))) for row in firsts]
    rows = lay_out(DATA, [[n] for n in chosen], 5)
    spec = replace(SPEC, batch=len(chosen))
    alone = gradient(spec, hp, of_rows(rows), init_state(spec, hp))
    np.testing.assert_allclose(found.loss, alone.loss, atol=1e-6)
    np.testing.assert_allclose(ravel_pytree(found.gradient)[0], ravel_pytree(alone.gradient)[0], atol=1e-6)


def test_a_run_does_not_depend_on_its_company() -> None:
    """The rows that a run draws are the same alone and beside others of other seeds."""
    pool = pool_of((3, 5))

    def rows(seed: jax.Array) -> jax.Array:
        return jnp.asarray(sequence_batch(HParams()._replace(seed=seed), pool, 1, 3, jnp.int32(2)).inputs_WTB)

    seeds = jnp.arange(4, dtype=jnp.uint32)
    together = jax.jit(jax.vmap(rows))(seeds)
    for i in range(4):
        np.testing.assert_array_equal(together[i], jax.jit(rows)(seeds[i]))
    assert not np.array_equal(together[0], together[1])


def test_chunks_of_several_lengths_go_on_where_they_ended() -> None:
    """2 + 3 steps are 5 steps."""
    pool, hp = pool_of((3, 5)), HParams(seed=3)
    chunk = jax.jit(lambda state, steps, first: train_chunk(SPEC, 5, hp, pool, state, steps, first))
    once, record = chunk(init_state(SPEC, hp), jnp.int32(5), jnp.int32(0))
    half, _ = chunk(init_state(SPEC, hp), jnp.int32(2), jnp.int32(0))
    twice, _ = chunk(half, jnp.int32(3), jnp.int32(2))
    np.testing.assert_array_equal(ravel_pytree(once.params)[0], ravel_pytree(twice.params)[0])
    assert np.isfinite(record.loss).all()


@pytest.mark.slow
def test_class_weights_count_in_the_objective_alone() -> None:
    """The objective is sum(w * loss) / sum(w) over the sequences, the reported loss their mean."""
    hp, state, weights = HParams(seed=3), init_state(SPEC, HParams(seed=3)), (3.0, 0.5, 1.0)
    plain = gradient(SPEC, hp, pool_of((5,)), state)
    weighted = gradient(SPEC, hp, pool_of((5,), class_weights_O=weights), state)
    window = sequence_batch(hp, pool_of((5,)), 0, 3, jnp.int32(0))
    rows = [np.swapaxes(leaf, 0, 1) for leaf in window[:4]]
    spec = replace(SPEC, batch=1)
    alone = [of_rows(SequenceRows(*(leaf[b : b + 1] for leaf in rows))) for b in range(3)]
    losses = [float(gradient(spec, hp, one, init_state(spec, hp)).loss) for one in alone]
    own = [weights[label] for label in rows[1].max(axis=1)]
    expected = sum(weight * loss for weight, loss in zip(own, losses, strict=True)) / sum(own)
    assert len(set(own)) > 1 and plain.loss == pytest.approx(np.mean(losses), abs=1e-6)
    assert weighted.loss == plain.loss and float(weighted.objective) == pytest.approx(expected, abs=1e-6)
