"""Studies from Python, their results and their networks; and what is refused."""

import signal
import sys
import threading
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnjax as rj
from rnnjax.config.load import load_study
from rnnjax.errors import Stopped
from rnnjax.storage.sealed import read_sealed_npz
from rnnjax.studies.callback import ChunkUpdate

TOML = """
question = "?"
seeds = 3
[base]
window = 5
steps = 60
log_every = 20
task.characters = 600
[[axes]]
hidden = [4, 5]
[probes]
validation = 2
gradients = 2
[[claims]]
id = "c"
text = "s"
[[claims.criteria]]
rule = "bound"
metric = "final_loss"
arms = ["*"]
low = 0.0
"""
CRITERION = {"rule": "bound", "metric": "final_loss", "arms": ["*"], "low": 0.0}


def study(**changes: Any) -> rj.Study:
    given: dict[str, Any] = {
        "base": {"window": 5, "steps": 60, "log_every": 20, "task": {"characters": 600}},
        "axes": {"hidden": (4, 5)},
        "claims": [{"id": "c", "text": "s", "criteria": [CRITERION]}],
        "probes": {"validation": 2, "gradients": 2},
        "seeds": np.int64(3),
    }
    return rj.Study("?", **given | changes)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> rj.Results:
    return rj.run_study(study(), tmp_path_factory.mktemp("studies") / "out", progress="none")


def test_a_study_of_python_is_that_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(TOML)
    written, of_file = study(), rj.Study.from_toml(tmp_path / "study.toml")
    assert written.definition == of_file.definition == load_study(tmp_path / "study.toml")
    changed = rj.Study.from_toml(tmp_path / "study.toml", seeds=2, steps=40, task={"corpus_seed": 1}, arms=["hidden=4"])
    asked = load_study(tmp_path / "study.toml", ["steps=40", "task.corpus_seed=1"], 2, patterns=["hidden=4"])
    assert changed.definition == asked
    task = rj.TaskSpec(characters=600)
    assert (
        study(base={"window": 5, "steps": 60, "log_every": 20, "task": task}).definition.config
        == written.definition.config
    )
    assert repr(written) == "Study('study', 2 arms, 3 seeds)" and "hidden=5" in written._repr_html_()


@pytest.mark.slow
def test_tables_and_curves_are_the_stored_numbers(results: rj.Results) -> None:
    stored = [read_sealed_npz(path) for path in sorted((results.folder / "metrics").glob("group-*.npz"))]
    loss_RS = np.concatenate([arrays["rows/loss"] for arrays in stored])
    assert np.array_equal(results.curves("loss").values.reshape(6, 3), loss_RS.astype(float))
    frame = results.to_dataframe("final_loss")
    assert frame.columns.tolist() == ["study", "arm", "hidden", "seed", "metric", "value", "unit"]
    np.testing.assert_allclose(frame.value, loss_RS[:, -1], rtol=1e-6)
    assert frame.seed.tolist() == [42, 43, 44] * 2 and set(frame.unit) == {"nats per character"}
    held_out = results.curves("validation_loss")
    assert held_out.step.values.tolist() == [0, 60]
    assert np.array_equal(results.to_dataframe("validation_loss@0").value, held_out.sel(step=0).values.ravel())
    decay = results.curves("gradient_decay", arms="hidden=5")
    assert decay.dims == ("arm", "seed", "step", "lag") and decay.shape[0] == 1
    assert set(results.metrics) <= set(results.to_dataframe().metric)


def test_intervals_verdicts_and_words(results: rj.Results) -> None:
    assert results.verdicts == {"c": "confirmed"} and results.claims[0]["text"] == "s"
    [estimate, other] = results.intervals("final_loss").values()
    values = results.to_dataframe("final_loss").value.values.reshape(2, 3)
    assert estimate is not None and other is not None
    np.testing.assert_allclose([estimate.estimate, other.estimate], values.mean(axis=1))
    half = 4.302653 * values[0].std(ddof=1) / np.sqrt(3)  # Student's t, 2 degrees of freedom
    assert estimate.high - estimate.estimate == pytest.approx(half, rel=1e-4)
    assert repr(results) == "Results('study', 2 arms, 3 seeds: c confirmed)"
    assert "confirmed" in results._repr_html_() and "hidden=5" in results._repr_html_()


@pytest.mark.parametrize("metric", ["loss", "validation_loss", "gradient_decay", "final_loss"])
def test_every_kind_of_metric_has_a_figure(results: rj.Results, metric: str) -> None:
    chart = results.plot(metric, arms="hidden=4")
    shown = [trace.name for trace in chart.data if trace.showlegend]
    assert shown == ["hidden=4"] and chart.layout.title.text


def test_a_network_of_a_folder_reads_new_data(results: rj.Results, tmp_path: Path) -> None:
    """The loss against one of NumPy, from the outputs for the same characters."""
    network = results.network("hidden=5", 43)
    stored = rj.load_network(results.folder, "hidden=5", 43)
    assert jax.tree.all(jax.tree.map(np.array_equal, network.params, stored.params))
    text = "the cat sees the dog\n"[:-1].replace("\n", " ")
    text = "".join(c for c in text if c in network.vocabulary) * 3
    ids = np.array([network.vocabulary.index(character) for character in text])
    logits = np.asarray(network(text[:-1]), float)
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    length = (len(ids) - 1) // 5 * 5  # whole windows
    expected = -logits[np.arange(length), ids[1 : length + 1]].mean()
    (tmp_path / "new.txt").write_text(text)
    for data in (ids, tmp_path / "new.txt"):
        found = network.evaluate(data)
        assert found.loss == pytest.approx(expected, rel=1e-5) and found.predictions == length
    own = results.to_dataframe("validation_loss", arms="hidden=5").value.tolist()[1]
    assert network.evaluate().loss == pytest.approx(own, rel=1e-5)
    assert network.sample("the", 10, greedy=True) == network.sample("the", 10, greedy=True)
    assert network.sample("the", 10, random=1).startswith("the") and len(network.sample("the", 10, beam=2)) == 13


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda r: rj.load_results("nowhere"), "nowhere: expected the run folder of a finished study"),
        (lambda r: rj.load_network("nowhere"), "nowhere: no trained network here; expected the run folder of a study"),
        (lambda r: rj.load_network(r.folder, "hiden=4"), "arm: got 'hiden=4'; expected one of 2, nearest: hidden=4"),
        (lambda r: rj.load_network(r.folder, seed=7), "seed: got 7; expected one of 3, nearest: 42, 43, 44"),
        (lambda r: r.to_dataframe("final_los"), "metric: got 'final_los'; expected one of .*nearest: final_loss"),
        (lambda r: r.curves("los"), "metric: got 'los'; expected one of .*nearest: loss"),
        (lambda r: r.plot("los"), "metric: got 'los'; expected one of .*nearest: loss"),
        (lambda r: r.plot("loss", arms="hiden=4"), "arms: got 'hiden=4'; expected a pattern .* nearest: hidden=4"),
        (lambda r: r.network().sample("the", 0), "length: got 0; expected integer >= 1"),
        (lambda r: r.network().sample("the", 5, top_p=2.0), "top_p: got 2.0; expected number > 0 and <= 1"),
        (lambda r: r.network().sample("the", 5, top_k=999), "^top_k: got 999; expected integer in 1"),
        (lambda r: r.network().sample("the", 5, topk=3), "sample: got 'topk'; expected one of: beam"),
        (lambda r: r.network().sample("the", 5, beam=2, top_k=2), "sample: got beam and top_k; expected one"),
        (lambda r: r.network().sample("THE", 5), "^prompt: text: 'T'"),
        (lambda r: r.network().forecast(3), "forecast: this network was trained on 'grammar'; expected a series"),
        (lambda r: r.network().evaluate("no file"), "data: no such file 'no file'.*; a text itself has a line break"),
        (lambda r: r.network().evaluate([0, 1]), "data: has 1 steps with a target; expected at least 5"),
        (lambda r: r.network()([[0.5]]), "data: got an array of float64; expected a text, or ids"),
        (lambda r: r.network()([99]), "data: got ids 99..99; expected"),
        (lambda r: rj.run_study(3, "out"), "study: got int; expected a Study, or the path"),
        (lambda r: rj.run_study("no.toml", "out"), "no such config file 'no.toml'"),
        (lambda r: rj.run_study(study(), "out", progress="loud"), "progress: got 'loud'; expected one of: auto, plain"),
        (lambda r: rj.run_study(study(), r.folder, resume=False).network(seed=0), "seed: got 0; expected one of 3"),
        (lambda r: study(base={"hiden": 4}), "unknown field 'hiden'; did you mean 'hidden'"),
        (lambda r: study(axes={"hidden": []}), "axis 'hidden' has no values"),
        (lambda r: study(qestions=[]), "unknown field 'qestions'; did you mean 'questions'"),
        (lambda r: study(claims=[{"id": "c", "text": "s"}]), "missing field 'claims.0.criteria'"),
        (lambda r: study(seeds=[1, 1]), "seed 1 given twice"),
        (lambda r: rj.examine(r, params={}), "params: got one for a network of rnnjax"),
        (lambda r: rj.examine(lambda: 0), "examine: got function without params and batch; expected both"),
        (lambda r: rj.examine(r.folder, arm="hidden=6"), "arm: got 'hidden=6'; expected one of 2, nearest: hidden"),
        (lambda r: rj.train(rj.Spec(cell="lstmm")), "cell: got 'lstmm'; .*Did you mean 'lstm'"),
        (lambda r: rj.train(rj.Spec(hidden=0)), "Spec:hidden: got 0; expected integer >= 1"),
        (lambda r: rj.train(rj.HParams()), "spec: got HParams; expected Spec"),
        (lambda r: rj.train(rj.Spec(), rj.grammar_task()), "hp: got Task; expected HParams"),
        (lambda r: rj.train(rj.Spec(), None, "notes.md"), r"task: got str; expected Task, as of text_task"),
        (lambda r: rj.train(rj.Spec(), rj.HParams(momentum=np.ones(3))), r"hp.momentum: got an array of shape \(3,\)"),
        (lambda r: rj.train(rj.Spec(), rj.HParams(momentum=jnp.float32(2))), "HParams:momentum: got 2.0; expected"),
        (lambda r: rj.train(rj.Spec(), seeds=0), "seeds: got 0; expected at least one seed"),
        (lambda r: rj.train(rj.Spec(dropout=True, cell="flax_gru")), "dropout: got True; expected false"),
        (lambda r: rj.train(rj.Spec(window=500), task=rj.text_task("ab\n" * 40)), "task: has .*; use window="),
        (lambda r: rj.make_train(rj.Spec(optimizer="adm")), "optimizer: got 'adm'; .*Did you mean 'adam'"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_compiled(
    results: rj.Results, ask: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message) as caught:
        ask(results)
    assert isinstance(caught.value, rj.BadInput)
    assert "\n" not in str(caught.value) and "--" not in str(caught.value)
    assert not list(tmp_path.iterdir()), "nothing is written"


@pytest.mark.slow
def test_a_callback_stops_a_study_which_goes_on_later(tmp_path: Path) -> None:
    steps: list[int] = []

    def stop(update: ChunkUpdate) -> bool:
        steps.append(update.step)
        return update.step >= 20

    small = study(axes=(), claims=(), probes={}, base={"window": 5, "steps": 60, "log_every": 20, "hidden": 4})
    with pytest.raises(Stopped):
        rj.run_study(small, tmp_path / "out", progress="none", callback=stop)
    with pytest.raises(rj.BadInput, match="expected the run folder of a finished study"):
        rj.load_results(tmp_path / "out")
    rj.run_study(small, tmp_path / "out", resume=True, progress="none", callback=lambda u: steps.append(u.step))
    assert steps[0] == 20 and steps[-1] == 60 and steps == sorted(set(steps))


def test_on_another_thread_no_signal_is_handled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    handlers, during, found = signal.getsignal(signal.SIGINT), [], []
    small = study(axes=(), claims=(), probes={}, base={"window": 5, "steps": 20, "log_every": 20, "hidden": 4})

    def work() -> None:
        done = rj.run_study(small, tmp_path / "out", callback=lambda _: during.append(signal.getsignal(signal.SIGINT)))
        found.append(done)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(found) == 1 and during == [handlers]
    said = capsys.readouterr().err
    assert "group-0: 3 runs at step 20" in said and "\x1b" not in said and "\r" not in said


def test_registered_things_have_checked_names() -> None:
    for register, table in ((rj.register_cell, rj.CELLS), (rj.register_rule, rj.RULES), (rj.register_task, rj.TASKS)):
        before = dict(table)
        for name, message in (("My cell", "expected a name of small letters"), (next(iter(table)), "is taken")):
            with pytest.raises(rj.BadInput, match=message):
                register(name)
        with pytest.raises(rj.BadInput, match="expected a function"):
            register("mine")(3)
        try:
            function = table[next(iter(table))]
            assert register("mine")(function) is function and table["mine"] is function
        finally:
            table.clear()
            table.update(before)


def test_a_missing_extra_is_named(results: rj.Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(rj.BadInput, match=r"pandas is not installed; .* pip install 'rnnjax\[notebook\]'"):
        results.to_dataframe("final_loss")


@pytest.fixture(scope="module")
def lake() -> tuple[rj.TrainResult, np.ndarray]:
    rng = np.random.default_rng(1)
    rows = np.column_stack([np.sin(0.4 * np.arange(150)), rng.normal(size=150)])
    task = rj.series_task({"level": 3 + 2 * rows[:, 0], "rain": rows[:, 1]}, targets="level", lags="3")
    spec = rj.Spec(hidden=4, window=8, steps=40, optimizer="adam", log_every=20)
    return rj.train(spec, task=task, seeds=1, progress="none"), np.column_stack([3 + 2 * rows[:, 0], rows[:, 1]])


@pytest.mark.slow
def test_a_forecast_goes_on_after_new_rows(lake: tuple[rj.TrainResult, np.ndarray]) -> None:
    """New rows that are those of the training give the same forecast; a first step against the network itself."""
    run, rows = lake
    network = run.network()
    known, again = network.forecast(5), network.forecast(5, data=rows)
    np.testing.assert_allclose(known.rows, again.rows, rtol=1e-5)
    assert known.columns == ("level",) and known.labels == ["151", "152", "153", "154", "155"] and again.labels == []
    layout = network.loaded.layout
    assert layout is not None
    x = np.column_stack([rows[2:, 0], rows[2:, 1], rows[:-2, 0]])  # level, rain, level two rows before
    x = (x - layout.input_mean_D) / layout.input_scale_D
    output = np.asarray(network(x.astype(np.float32)))[-1]
    expected = output * network.loaded.target_scale_O + network.loaded.target_mean_O
    np.testing.assert_allclose(known.rows[0], expected, rtol=1e-4)
    frame = again.to_dataframe()
    assert frame.columns.tolist() == ["level"] and len(frame) == 5
    shorter = network.forecast(3, start=100)
    assert shorter.truth is not None and np.array_equal(shorter.truth[:, 0], rows[99:102, 0])


@pytest.mark.slow
def test_a_series_is_evaluated_in_its_own_units(lake: tuple[rj.TrainResult, np.ndarray], tmp_path: Path) -> None:
    run, rows = lake
    network, new = run.network(), rows[40:90]
    layout = network.loaded.layout
    assert layout is not None
    x = np.column_stack([new[2:-1, 0], new[2:-1, 1], new[:-3, 0]])
    outputs = np.asarray(network(((x - layout.input_mean_D) / layout.input_scale_D).astype(np.float32)))[:, 0]
    errors = outputs * network.loaded.target_scale_O[0] + network.loaded.target_mean_O[0] - new[3:, 0]
    length = len(errors) // 8 * 8
    found = network.evaluate(new)
    assert found.loss == pytest.approx(np.mean(errors[:length] ** 2), rel=1e-4)
    assert found == network.evaluate({"level": new[:, 0], "rain": new[:, 1], "other": new[:, 0]})
    lines = ["row,level,rain", *(f"{n},{a!r},{b!r}" for n, (a, b) in enumerate(new.tolist(), 1))]
    (tmp_path / "new.csv").write_text("\n".join(lines))
    assert network.evaluate(tmp_path / "new.csv").loss == pytest.approx(found.loss, rel=1e-6)
    for data, message in (
        (rows[:, :1], "expected rows of 2 columns: level, rain"),
        ({"level": rows[:, 0]}, "data: has no column 'rain'; expected level, rain"),
        (rows[:5], "data: has 2 steps with a target; expected at least 8"),
        (np.full((40, 2), np.nan), "data: row 1, column 1 is nan; expected a finite number"),
    ):
        with pytest.raises(rj.BadInput, match=message):
            network.evaluate(data)
    with pytest.raises(rj.BadInput, match="interval: got one for a network without a run folder"):
        network.forecast(3, interval=0.9)
    with pytest.raises(rj.BadInput, match="sample: this network was trained on 'series'; expected a text"):
        network.sample("a")


@pytest.mark.slow
@pytest.mark.exhaustive
def test_the_doctor_takes_what_the_functions_return(
    results: rj.Results, lake: tuple[rj.TrainResult, np.ndarray]
) -> None:
    known = rj.examine(results.network("hidden=4", 42))
    folder = rj.examine(results, arm="hidden=4")
    assert [check.name for check in known.checks] == [check.name for check in folder.checks]
    of_run = rj.examine(lake[0])
    assert len(of_run.checks) == len(known.checks) and jnp.isfinite(lake[0].record.loss).all()
    assert "<pre>" in of_run._repr_html_()
