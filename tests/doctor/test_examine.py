"""`examine`: one network in every form that it may have, what is refused, and what is shown."""

import io
import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from rnnjax.doctor import examine, report
from rnnjax.doctor.adapters import can_step, make_adapter, scan_steps
from rnnjax.doctor.batch import Batch
from rnnjax.doctor.conditions import CONDITIONS
from rnnjax.doctor.diagnosis import Diagnosis, coverage_summary, format_evidence, headline, judge_indicators
from rnnjax.doctor.figures import finding_figures
from rnnjax.doctor.indicators.types import Curve, Floor, Indicator, Indicators
from rnnjax.doctor.inputs import ExaminationInput, initial_carries
from rnnjax.doctor.remedies import load_effects
from rnnjax.errors import BadInput
from rnnjax.networks.cells import build_spec_cell
from rnnjax.networks.model import build_network
from rnnjax.reports.render import _hash
from rnnjax.settings import HParams, Spec

SPEC = Spec(hidden=4, inputs=3, outputs=3, window=6, loss="squared_error", reduction="mean")
HP = HParams(seed=1)
X = np.random.default_rng(0).normal(size=(7, 3, 3)).astype(np.float32)
BATCH = X[:-1], X[1:]
PARAMS = build_network(SPEC, HP).init(jax.random.key(0))


def step(params: Any, carry: Any, x: Any) -> Any:
    """The same network as a user would write it."""
    layer = params["layer_0"]
    carry = jnp.tanh(x @ layer["kernel"] + layer["bias"][None] + carry @ layer["recurrent_kernel"])
    return carry, carry @ params["readout"]["kernel"] + params["readout"]["bias"][None]


class Module(nn.Module):
    """And as a Flax module."""

    @nn.compact
    def __call__(self, carry: Any, x: Any) -> Any:
        carry = jnp.tanh(nn.Dense(4, name="in")(x) + nn.Dense(4, use_bias=False, name="back")(carry))
        return carry, nn.Dense(3, name="out")(carry)


FLAX = {
    "in": {"kernel": PARAMS["layer_0"]["kernel"], "bias": PARAMS["layer_0"]["bias"]},
    "back": {"kernel": PARAMS["layer_0"]["recurrent_kernel"]},
    "out": PARAMS["readout"],
}
CARRY = jnp.zeros((3, 4))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("adapter", "params", "carry"),
    [
        (make_adapter(SPEC, HP), PARAMS, {"layer_0": CARRY}),
        (make_adapter(step), PARAMS, CARRY),
        (make_adapter(lambda p, c, x: scan_steps(step, p, c, x), whole=True), PARAMS, CARRY),
        (make_adapter(Module()), FLAX, CARRY),
        (make_adapter(Module()), {"params": FLAX}, CARRY),
    ],
    ids=["spec", "step", "whole", "module", "variables"],
)
def test_one_network_in_every_form(adapter: Any, params: Any, carry: Any) -> None:
    expected = build_network(SPEC, HP).apply(PARAMS, {"layer_0": CARRY}, jnp.asarray(BATCH[0]))[1]
    close = partial(np.testing.assert_allclose, atol=1e-6)
    close(adapter.apply(params, carry, jnp.asarray(BATCH[0]))[1], expected)
    assert can_step(adapter, params, carry, jnp.asarray(BATCH[0]))
    after, outputs_BO = adapter.step(params, carry, jnp.asarray(BATCH[0][0]))
    close(outputs_BO, expected[0])
    close(adapter.units(after), jax.tree.leaves(after)[0])


def test_cells_say_their_output_and_know_their_start() -> None:
    cell, x = build_spec_cell(SPEC, HP), jnp.asarray(BATCH[0])
    ours, flax = make_adapter(cell), make_adapter(nn.GRUCell(4))
    start = ours.initial_carry(PARAMS["layer_0"], x)  # type: ignore[misc]
    _, h_TBH = ours.apply(PARAMS["layer_0"], start, x)
    expected = build_network(SPEC, HP).apply(PARAMS, {"layer_0": CARRY}, x)[2]
    np.testing.assert_allclose(h_TBH, expected, atol=1e-6)
    assert flax.initial_carry({}, x).shape == (3, 4)  # type: ignore[misc]


def test_a_users_loss_of_the_last_step_is_named_first() -> None:
    found = examine(step, PARAMS, BATCH, carry=CARRY, objective=lambda y, target: jnp.mean((y[-1] - target[-1]) ** 2))
    first = found.findings[0]
    assert (first.name, first.kind, first.over, first.evidence.estimate) == ("last_step", "fault", "network", 1.0)


@pytest.mark.parametrize(
    ("examined", "asked", "message"),
    [
        (step, {}, "carry: got none; expected the state before the batch"),
        (3, {"carry": CARRY}, "network: got int; expected a Spec, a cell, a Flax module or a function"),
        (replace(SPEC, inputs=0), {}, "network: got a Spec without inputs and outputs; expected both"),
        (step, {"carry": CARRY, "held_out": (X[:-1, :2], X[1:, :2])}, "held_out: got 2 streams; expected as many"),
        (step, {"carry": CARRY, "held_out": (X[:2], X[:2])}, "held_out: got shapes"),
        (SPEC, {"record": {"gradient_norm": [1.0]}}, "record: got no loss"),
        (step, {"carry": jnp.zeros((1, 3, 4))}, r"carry: got numbers of shape \(1, 3, 4\); expected \(3, ...\)"),
        (step, {"carry": {"h": CARRY, "t": 0.0}}, r"carry: got numbers of shape \(\); expected \(3, ...\)"),
        (lambda p, c, x: step(p, c, x)[::-1], {"carry": CARRY}, "network: TypeError when applied to batch"),
        (lambda p, c, x: (c, x @ p["no"]), {"carry": CARRY}, "network: KeyError when applied to batch"),
        (lambda p, c, x: (c, x[..., 0]), {"carry": CARRY}, r"network: got outputs float32 \(6, 3\) for batch"),
        (lambda p, c, x: (c, x > 0), {"carry": CARRY}, r"network: got outputs bool \(6, 3, 3\) for batch"),
        (lambda p, c, x: (c, x[:, :2]), {"carry": CARRY}, "batch: got targets of 3 columns; expected 2"),
        (step, {"carry": CARRY, "params": {}}, "params: got no floating-point arrays"),
        (step, {"carry": CARRY, "before": {"readout": CARRY}}, "before: got arrays of other shapes than params"),
        (SPEC, {"batch": (X[:-1], np.full((6, 3), 3))}, "batch: got ids up to 3 in the targets; expected 0 to 2"),
        (SPEC, {"batch": (np.full((6, 3), 3), X[1:])}, "batch: got ids up to 3 in the inputs; expected 0 to 2"),
        (SPEC, {"held_out": (np.full((6, 3), 3), X[1:])}, "held_out: got ids up to 3 in the inputs; expected 0 to 2"),
    ],
)
def test_what_cannot_be_examined_is_refused_in_one_line(examined: Any, asked: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        examine(examined, **{"params": PARAMS, "batch": BATCH} | asked)
    assert "\n" not in str(caught.value)


def found_in(*given: Any, **more: Any) -> set[str]:
    return {finding.name for finding in examine(*given, BATCH, **more).findings}


def test_stepping_is_left_out_where_it_reads_another_network() -> None:
    """A function of windows that starts each from its own zeros; one that looks ahead; one without a state."""
    x = jnp.asarray(BATCH[0])
    afresh = make_adapter(lambda p, c, x: (c, scan_steps(step, p, CARRY, x)[1]), whole=True)
    ahead = make_adapter(lambda p, c, x: (c, jnp.cumsum(x[::-1], axis=0)[::-1]), whole=True)
    stateless = make_adapter(lambda p, c, x: (c, x))
    assert not can_step(afresh, PARAMS, CARRY, x) and not can_step(ahead, PARAMS, CARRY, x)
    assert not can_step(stateless, PARAMS, (), x) and not can_step(stateless, PARAMS, jnp.zeros(3, int), x)
    one_length = make_adapter(lambda p, c, x: (c, x.reshape(6, 3, 3)), whole=True)
    other_state = make_adapter(lambda p, c, x: (c[:, :2], x), whole=True)
    assert not can_step(one_length, PARAMS, CARRY, x) and not can_step(other_state, PARAMS, CARRY, x)
    named = found_in(lambda p, c, x: (c, scan_steps(step, p, CARRY, x)[1]), PARAMS, carry=CARRY, whole=True)
    assert not named & {"dead_units", "no_memory"}


def test_a_network_that_says_nan_still_steps() -> None:
    """What is wrong with it is another thing."""
    assert can_step(make_adapter(step), jax.tree.map(lambda leaf: np.nan * leaf, PARAMS), CARRY, jnp.asarray(BATCH[0]))


def test_parameters_of_integers_and_states_without_numbers_are_passed_over() -> None:
    def counting(params: Any, count: Any, x: Any) -> Any:
        return count + 1, x * params["size"] + params["shift"]

    params = {"size": jnp.ones(3)[None], "shift": jnp.ones((1, 3), int)}
    for carry in (jnp.zeros(3, int), ()):
        apply = (lambda p, c, x: (c, counting(p, 0, x)[1])) if isinstance(carry, tuple) else counting
        assert "frozen" not in found_in(apply, params, carry=carry, before=params | {"size": 2 * params["size"]})


def test_to_look_ahead_is_a_fault_only_where_the_next_input_is_the_target() -> None:
    def ahead(params: Any, carry: Any, x: Any) -> Any:
        return carry, params * jnp.cumsum(x[::-1], axis=0)[::-1]

    for targets, fault in ((X[1:], True), (X[:-1] ** 2, False)):
        found = examine(ahead, jnp.ones((1, 1, 3)), (X[:-1], targets), carry=CARRY, whole=True)
        assert ("future" in [finding.name for finding in found.faults]) == fault


@pytest.mark.slow
def test_what_has_not_moved_since_before_is_frozen() -> None:
    before = {"layer_0": jax.tree.map(lambda leaf: leaf + 1, PARAMS["layer_0"]), "readout": PARAMS["readout"]}
    found = examine(step, PARAMS, BATCH, carry=CARRY, before=before)
    [frozen] = [finding for finding in found.findings if finding.name == "frozen"]
    assert (frozen.evidence.estimate, frozen.remark) == (pytest.approx(2 / 5), "readout/bias, readout/kernel")
    assert frozen.remark in report.render_page("it", found)


def test_the_fresh_state_of_a_users_network_is_zero() -> None:
    setup = ExaminationInput(
        make_adapter(step), jax.tree.map(lambda leaf: leaf[None], PARAMS), Batch(*BATCH), CARRY[None] + 3
    )
    assert initial_carries(setup, setup.batch).tolist() == CARRY[None].tolist()


@pytest.mark.slow
def test_a_record_that_ends_in_nan_has_diverged() -> None:
    assert "diverged" in found_in(step, PARAMS, carry=CARRY, record=[3.0, 2.0, np.nan])
    assert "diverged" not in found_in(step, PARAMS, carry=CARRY, record=[3.0, 2.0, 1.0])


def test_a_floor_that_is_given_is_asked_for() -> None:
    loss = float(jnp.mean((scan_steps(step, PARAMS, CARRY, jnp.asarray(BATCH[0]))[1] - BATCH[1]) ** 2))
    found = examine(step, PARAMS, BATCH, carry=CARRY, floor=Floor(loss))
    assert found.indicators.values["above_floor"].values_n.mean() == pytest.approx(0, abs=1e-5)
    assert found.findings[-1].name == "floor"


PHASES = np.arange(3.0)
TURN = np.array([[np.cos(0.3), np.sin(0.3)], [-np.sin(0.3), np.cos(0.3)]], np.float32)
CIRCLE = np.stack([np.stack([np.cos(0.3 * n + PHASES), np.sin(0.3 * n + PHASES)]).T for n in range(9)]).astype(
    np.float32
)


def deviations_and_means(params: Any, carry: Any, x: Any) -> Any:
    """Logarithms of the deviations before the means: the exact next point of a circle."""
    return carry, jnp.concatenate([jnp.full_like(x, params["deviation"]), x @ TURN], axis=-1)


def likelihood(outputs: Any, targets: Any) -> Any:
    deviation, mean = jnp.split(outputs, 2, axis=-1)
    return jnp.mean(0.5 * ((targets - mean) / jnp.exp(deviation)) ** 2 + deviation)


@pytest.mark.slow
def test_outputs_of_a_distribution_are_compared_by_their_means() -> None:
    params, batch = {"deviation": jnp.array(-2.0)}, (CIRCLE[:-1], CIRCLE[1:])
    found = examine(deviations_and_means, params, batch, carry=CARRY, objective=likelihood, record=-2 * np.ones(50))
    assert found.indicators.values["loss"].values_n.max() < 1e-10
    assert found.indicators.values["record_mismatch"].values_n.max() < 1e-3
    assert found.views is not None and found.views.series is not None
    assert {finding.name for finding in found.findings} == {"no_memory", "learned"}  # it has no state
    column = int(found.views.series.column.split()[1]) - 1
    angles = 0.3 * np.arange(8, 58) + PHASES[0]
    expected = (np.cos if column == 0 else np.sin)(angles)
    np.testing.assert_allclose(found.views.series.forecast_N[:50], expected, atol=1e-3)


def test_outputs_of_other_width_need_an_objective() -> None:
    params, batch = {"deviation": jnp.array(-2.0)}, (CIRCLE[:-1], CIRCLE[1:])
    with pytest.raises(BadInput, match="targets of 2 columns; expected 4"):
        examine(deviations_and_means, params, batch, carry=CARRY)
    with pytest.raises(BadInput, match="targets of 1 columns; expected 4"):  # more than 3 for each
        examine(deviations_and_means, params, (batch[0], batch[1][..., :1]), carry=CARRY, objective=likelihood)


EVIL = "</script><script>alert(1)</script>"


@pytest.fixture(scope="module")
def found() -> Diagnosis:
    """A curve of training, a curve by lag, and numbers of streams."""
    values = {"rise": Indicator(np.array([2.0, 3.0]), "runs"), "gradient_decay": Indicator(np.full(3, -5.0), "streams")}
    values |= {"gap": Indicator(np.array([0.9]), "network"), "loss_over_chance": Indicator(np.array([0.5]), "network")}
    values |= {"drift": Indicator(np.zeros(3), "streams")}
    curves = {
        "rise": Curve(np.arange(1, 31), np.random.default_rng(0).random((2, 30)), "runs", "optimizer steps", "loss"),
        "gradient_decay": Curve(np.arange(6), np.random.default_rng(0).random((3, 6)), "streams", "lag", "log10"),
    }
    return judge_indicators(Indicators(values, curves, {"gap": EVIL}), load_effects())


def test_the_page_lets_nothing_in_but_the_file_of_plotly(found: Diagnosis) -> None:
    page = report.render_page(EVIL, found)
    assert "<script>alert" not in page and page.count('<figure class="drawing"') == 3
    outside = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.findall(r'(?:src|href)="(?!#)', outside)
    assert re.findall(r'src="(.*?)"', page) == ["plotly.min.js"]
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert policy and len(scripts) == 1 and all(_hash(script) in policy[1] for script in scripts)
    assert all(finding.remedy.split(",")[0] in page for finding in found.findings)
    many = page.replace("\\u003c", "<").replace("\\u003e", ">")
    assert "seed %{" not in many and "run %{customdata}" not in many and "stream %{customdata}" in many


def test_the_terminal_shows_the_weightiest_first(found: Diagnosis) -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    report.print_diagnosis(console, "a \x1b[31mname", found)
    words = console.export_text()
    assert "\x1b" not in words
    assert all(f"(study {study})" in words for study in ("rate", "loops"))  # where the remedies' effects are measured
    panels = words[words.index("1. [fault]") :]
    shown = ("1. [", "The loss has risen", "2. [", "Gradients vanish", "3. [", "The held-out loss is much")
    places = [panels.index(each) for each in shown]
    assert places == sorted(places) and "alert(1)" in words


def test_the_terminal_obeys_no_words(found: Diagnosis) -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(report.finding_panel(1, found.findings[0]._replace(remark="[bold]\x1b[31m")))
    words = console.export_text()
    assert "[bold]" in words and "\x1b" not in words


def test_no_symptom_is_cut_off_on_a_narrow_terminal(found: Diagnosis) -> None:
    console = Console(width=40, record=True, file=io.StringIO())
    console.print(report.finding_panel(1, found.findings[0]._replace(symptom="a long symptom " * 10 + "with an end.")))
    assert "with an end." in " ".join(console.export_text().replace("│", " ").split())


def test_findings_in_words(found: Diagnosis) -> None:
    expected_text = "The loss has risen above its minimum, and 2 more that may follow from it."
    assert headline(found) == expected_text
    total = len(CONDITIONS)
    assert coverage_summary(found) == f"1 of {total} checks passed, 3 found a fault, {total - 4} not possible"
    ends = [format_evidence(finding).split(": ")[1] for finding in found.findings]
    assert ends == ["2 [-4, 9], n = 2 runs", "-5 [-5, -5], n = 3 streams", "0.9, n = 1"]


def with_losses(diagnosis: Diagnosis) -> Diagnosis:
    """The same with losses and levels."""
    losses = {"loss": Indicator(np.array([0.31]), "network"), "held_out_loss": Indicator(np.array([0.35]), "network")}
    levels = {"chance": 1.21, "linear": 0.3, "persistence": 0.62, "unknown": np.nan}
    indicators = diagnosis.indicators
    return diagnosis._replace(indicators=indicators._replace(values=indicators.values | losses, levels=levels))


def test_losses_stand_beside_simple_predictors_the_best_first(found: Diagnosis) -> None:
    tree = report.to_json("it", with_losses(found))["losses"]
    assert [(each["loss"], each["of_network"]) for each in tree] == [
        (0.3, False), (0.31, True), (0.35, True), (0.62, False), (1.21, False)
    ]  # fmt: skip
    page = report.render_page("it", with_losses(found))
    places = [page.index(each) for each in ("linear predictor", "training batch", "held-out batch", "last value")]
    assert places == sorted(places)
    console = Console(width=200, record=True, file=io.StringIO())
    report.print_diagnosis(console, "it", with_losses(found))
    assert "loss 0.31, held-out 0.35; linear predictor 0.3, last value 0.62, chance 1.21." in console.export_text()


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        (["a", "a"], "1 of 3 checks passed, 2 not possible because a"),
        (["b", "a", "a"], "1 of 4 checks passed, 3 not possible because a [2]; b [1]"),
        (list("aaabbcd"), "1 of 8 checks passed, 7 not possible because a [3]; b [2]; c [1]; other reasons [1]"),
        ([], "1 of 1 checks passed"),
    ],
)
def test_the_coverage_is_one_line(found: Diagnosis, reasons: list[str], expected: str) -> None:
    check = next(check for check in found.checks if check.outcome == "not checked")
    missing = [check._replace(reason=reason) for reason in reasons]
    other = [check._replace(outcome="not found"), check._replace(outcome="not applicable")]
    assert coverage_summary(found._replace(checks=(*missing, *other))) == expected


def test_checks_that_do_not_apply_are_folded(found: Diagnosis) -> None:
    first, *others = found.checks
    mixed = found._replace(checks=(first._replace(outcome="not applicable", reason="of another kind"), *others))
    page = report.render_page("it", mixed)
    assert page.count("<details") == 1 and page.index("<details") < page.index("of another kind")
    assert "<details" not in report.render_page("it", found)


def test_an_examination_is_printed_in_words(found: Diagnosis) -> None:
    first, *findings, losses, last = str(with_losses(found)).splitlines()
    assert first == headline(found) and last == f"{coverage_summary(found)}."
    assert losses == "loss 0.31, held-out 0.35; linear predictor 0.3, last value 0.62, chance 1.21."
    assert [line.split(".")[0] for line in findings] == [f"- {each.symptom[:-1]}" for each in found.findings]
    assert "2 [-4, 9], n = 2 runs" in findings[0] and found.findings[0].remedy in findings[0]


AT_FLOOR = "The loss is at its floor: more training cannot lower it."


def test_one_fault_has_no_more_behind_it_and_a_floor_is_said() -> None:
    for values, expected_text in (
        ({"rise": 3.0}, "The loss has risen above its minimum."),
        ({"above_floor": 0.0, "rise": 0.0}, f"No fault found. {AT_FLOOR}"),
        ({"above_floor": 0.0}, f"No fault found. {AT_FLOOR} No training curves were examined."),
    ):
        indicators = {name: Indicator(np.array([value]), "network") for name, value in values.items()}
        assert headline(judge_indicators(Indicators(indicators, {}, {}), load_effects())) == expected_text


def test_a_drawing_says_its_limit_and_how_many_it_is_of(found: Diagnosis) -> None:
    risen, gradient_decay, gap = finding_figures(found)
    assert risen.caption.startswith("Line: mean over 2 runs;") and gradient_decay.caption.startswith(
        "Line: mean over 3 streams"
    )
    assert gap.caption.startswith("Points: one value of one network;")
    assert [shape.x0 for shape in gap.figure.layout.shapes] == [0.25]
    alone = {name: curve._replace(values_nm=curve.values_nm[:1]) for name, curve in found.indicators.curves.items()}
    one = found._replace(indicators=found.indicators._replace(curves=alone))
    assert [each.caption for each in finding_figures(one)[:2]] == 2 * ["Line: one network."]


def test_the_files(found: Diagnosis, tmp_path: Path) -> None:
    report.write(tmp_path, "it", found)
    tree = json.loads((tmp_path / "doctor.json").read_text())
    assert [each["name"] for each in tree["findings"]] == ["rate_too_high", "vanishing", "gap"]
    first, _, gap = tree["findings"]
    assert (first["over"], first["evidence"]["n"], first["evidence"]["estimate"]) == ("runs", 2, 2.5)
    assert first["evidence"]["ci95"][0] == pytest.approx(2.5 - 6.3531, abs=1e-3)
    assert first["effect"]["difference"]["n"] == 32
    assert gap["evidence"]["ci95"] == [None, None]
    assert {check["outcome"] for check in tree["checks"]} == {"found", "not found", "not checked"}
    assert (tmp_path / "doctor.html").stat().st_size > 10_000


def test_nothing_found_is_said() -> None:
    healthy = judge_indicators(Indicators({"gap": Indicator(np.zeros(2), "runs")}, {}, {}), load_effects())
    assert headline(healthy) == "No fault found. No training curves were examined."
    assert coverage_summary(healthy).startswith("1 of ")
    assert "<figure" not in report.render_page("it", healthy)
