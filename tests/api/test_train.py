"""Training in memory: bitwise that of a study, and a pure function under jit and vmap."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnjax as rj
from rnnjax.networks.model import build_network
from rnnjax.studies.callback import ChunkUpdate

TASK = {"name": "grammar", "characters": 600}
SPEC = rj.Spec(task=rj.TaskSpec(**TASK), hidden=4, window=5, steps=60, log_every=20, optimizer="adam")
HP = rj.HParams(learning_rate=0.02)


@pytest.fixture(scope="module")
def run() -> rj.TrainResult:
    return rj.train(SPEC, HP, rj.grammar_task(characters=600), seeds=3, progress="none")


def equal(one: Any, other: Any) -> bool:
    return bool(jax.tree.all(jax.tree.map(np.array_equal, one, other)))


@pytest.mark.slow
@pytest.mark.optimised
def test_it_is_bitwise_the_same_as_in_a_study(tmp_path: Path) -> None:
    """Whatever the other arms and seeds of the study are; its chunks have other lengths."""
    base = {"task": TASK, "hidden": 4, "window": 5, "steps": 60, "log_every": 20, "optimizer": "adam"}
    axes = {"learning_rate": [0.01, 0.02]}
    study = rj.Study("?", base=base, axes=axes, seeds=[44, 7, 42], probes={"validation": [0, 20, 60]})
    results = rj.run_study(study, tmp_path / "out", progress="none")
    [arm] = results.select("rate=0.02")
    again = rj.train(SPEC, HP, rj.grammar_task(characters=600), seeds=[44, 42], progress="none")
    for seed in (44, 42):
        row = arm.seeds.tolist().index(seed)
        stored = results.network("rate=0.02", seed)
        assert equal(stored.params, again.network(seed).params)
        for name, rows in again.record._asdict().items():
            assert np.array_equal(arm.rows[name][row], rows[again.seeds.index(seed)])
    assert again.arm.metrics["final_loss"][0] == arm.metrics["final_loss"][arm.seeds.tolist().index(44)]
    assert not equal(again.network(44).params, again.network(42).params)


@pytest.mark.slow
def test_going_on_is_bitwise_one_longer_training(run: rj.TrainResult) -> None:
    short = rj.train(replace(SPEC, steps=40), HP, rj.grammar_task(characters=600), seeds=3, progress="none")
    longer = rj.train(SPEC, HP, start=short, progress="none")
    assert longer.seeds == run.seeds and longer.step == 60
    assert equal(longer.states, run.states) and equal(longer.record, run.record)


def test_it_starts_from_parameters(run: rj.TrainResult) -> None:
    """With a rate of nearly nothing they stay; other shapes are refused."""
    still = rj.train(SPEC, HP._replace(learning_rate=1e-30), start=run.params, seeds=3, progress="none")
    assert equal(still.params, run.params)
    with pytest.raises(rj.BadInput, match="start: layer_0/bias has shape"):
        rj.train(replace(SPEC, hidden=5), HP, start=run.params, seeds=3, progress="none")


def test_a_callback_reads_each_chunk_and_may_stop(run: rj.TrainResult) -> None:
    seen: list[ChunkUpdate] = []

    def stop_at_20(update: ChunkUpdate) -> bool:
        seen.append(update)
        return update.step >= 20  # later chunks are as long as the machine is fast

    stopped = rj.train(SPEC, HP, rj.grammar_task(characters=600), seeds=3, progress="none", callback=stop_at_20)
    assert stopped.step == seen[-1].step == 20 and len(seen) == 1
    assert seen[0].record.loss.shape == (3, 1) and list(seen[0].seeds) == [42, 43, 44]
    assert equal(seen[-1].states().params, stopped.params)
    assert np.isnan(stopped.record.loss[:, -1]).all()
    assert np.array_equal(stopped.record.loss[:, 0], run.record.loss[:, 0])
    assert len(stopped.arm.row_steps) == 1
    finished = rj.train(SPEC, HP, start=stopped, progress="none")
    assert equal(finished.states, run.states)


@pytest.mark.slow
@pytest.mark.parametrize("batches", ["bucketed", "packed"])
def test_sets_of_sequences_are_trained_as_in_a_study(tmp_path: Path, batches: str) -> None:
    """The included digits, in batches of whole sequences; `make_train` has the same losses."""
    task = rj.TaskSpec(name="sequences", batches=batches)
    spec = rj.Spec(cell="gru", hidden=4, carry="reset", batch=4, steps=12, log_every=4, task=task)
    run = rj.train(spec, HP, seeds=2, progress="none")
    base = {"cell": "gru", "hidden": 4, "carry": "reset", "batch": 4, "steps": 12, "log_every": 4}
    base |= {"task.name": "sequences", "task.batches": batches, "learning_rate": HP.learning_rate}
    study = rj.Study(question="?", base=base, seeds=2)
    results = rj.run_study(study, tmp_path / "run", progress="none")
    assert np.array_equal(results.curves("loss").values[0], run.record.loss)
    _, record = jax.jit(rj.make_train(spec))(HP._replace(seed=jnp.uint32(42)))
    np.testing.assert_allclose(record.loss, run.record.loss[0], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("checks", [{}, {"validate_every": 20, "schedule": "plateau"}, {"validate_every": 45}])
def test_make_train_is_a_pure_function_under_jit_and_vmap(checks: dict[str, Any]) -> None:
    """Against `train`, which advances blocks of runs chunk by chunk."""
    spec = replace(SPEC, **checks)
    reference = rj.train(spec, HP, rj.grammar_task(characters=600), seeds=[42, 7], progress="none")
    one_run = rj.make_train(spec, rj.grammar_task(characters=600))
    many = jax.jit(jax.vmap(lambda seed, rate: one_run(rj.HParams(seed=seed, learning_rate=rate))))
    states, record = many(jnp.array([42, 7], jnp.uint32), jnp.array([0.02, 0.02]))
    assert record.loss.shape == (2, 3)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5), record, reference.record)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-4), states.params, reference.params)
    if checks:
        best = states.early_stopping.best_loss
        np.testing.assert_allclose(best, reference.states.early_stopping.best_loss, rtol=1e-4)


def test_it_trains_on_another_thread_without_a_terminal() -> None:
    found: list[Any] = []

    def work() -> None:
        found.append(rj.train(replace(SPEC, steps=20), HP, seeds=1))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found[0].step == 20


def test_a_result_reads_as_tables_and_words(run: rj.TrainResult) -> None:
    table = run.to_dataframe(["final_loss", "jumps"])
    assert list(table.columns) == ["study", "arm", "seed", "metric", "value", "unit"] and len(table) == 6
    last = run.record.loss[:, -1]
    assert np.allclose(table[table.metric == "final_loss"].value, last)
    assert np.array_equal(run.curves("gradient_norm").sel(seed=43), run.record.gradient_norm[1].astype(float))
    assert run.intervals("final_loss").estimate == pytest.approx(last.mean())
    assert repr(run).startswith("TrainResult(elman 4, 3 seeds, 60 steps, final loss") and "<p>" in run._repr_html_()
    assert len(run.plot("loss").data) == 3


def test_a_network_of_it_is_that_of_the_arrays(run: rj.TrainResult) -> None:
    network = run.network(43)
    ids = jnp.array([[1, 2], [3, 4], [5, 6]])
    model = build_network(run.spec, run.hp)
    of_43 = jax.tree.map(lambda leaf: jnp.asarray(leaf[1]), run.params)
    start = model.carry(of_43, jax.random.key(0), 2)
    np.testing.assert_allclose(network(ids), model.apply(of_43, start, ids)[1], rtol=1e-5, atol=1e-6)
    carry, first = network.apply(ids[:1])
    _, rest = network.apply(ids[1:], carry)
    np.testing.assert_allclose(jnp.concatenate([first, rest]), network(ids), rtol=1e-5, atol=1e-6)
    with pytest.raises(rj.BadInput, match="seed: got 4; expected one of 3, nearest: 4"):
        run.network(4)
