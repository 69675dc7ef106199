"""Recall of each class over training: a NumPy count over sequences of different lengths is the oracle."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from probe_values import values_of

from rnnjax.analysis.results import ArmResult
from rnnjax.errors import NotApplicable
from rnnjax.networks.model import build_network
from rnnjax.probes import build_probe
from rnnjax.reports.sequences import class_curves
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.studies.tensorboard_tags import BoardPlan
from rnnjax.tasks.sequences.arrays import raw_from_lists
from rnnjax.tasks.sequences.task import sequences_task
from rnnjax.types import Facts, Probe, Task

RNG = np.random.default_rng(0)
X = [RNG.normal(size=(3 + n % 4, 2)) for n in range(24)]


def task_of(predict: str) -> Task:
    tags = [["a", "b", "c"][n % 3] for n in range(24)]
    y = tags if predict == "label" else [[tags[(n + t) % 3] for t in range(len(x))] for n, x in enumerate(X)]
    settings = TaskSpec(name="sequences", path="x.npz", predict=predict, validation=0.5)  # type: ignore[arg-type]
    return sequences_task(settings, raw_from_lists(X, None if predict == "next" else y))


@pytest.mark.parametrize("predict", ["label", pytest.param("tags", marks=[pytest.mark.slow, pytest.mark.exhaustive])])
def test_recalls_are_those_of_a_count(predict: str) -> None:
    task = task_of(predict)
    spec = Spec(task=TaskSpec(name="sequences", predict=predict), hidden=3, window=6, carry="reset")  # type: ignore[arg-type]
    spec = replace(spec, inputs=task.inputs, outputs=task.outputs, loss=task.loss)
    shapes = jax.eval_shape(build_network(spec, HParams()).init, jax.random.key(0))
    params = jax.tree.map(lambda leaf: np.asarray(RNG.normal(size=leaf.shape), np.float32), shapes)
    probe = build_probe("classes", spec, task)
    assert isinstance(probe, Probe) and task.sequences is not None
    found = values_of(probe, spec, params)
    held_out, hits, counts = task.sequences.validation, np.zeros(3), np.zeros(3)
    for n in range(held_out.size):
        own, h = slice(held_out.offsets_N[n], held_out.offsets_N[n + 1]), np.zeros(3)
        layer, readout = params["layer_0"], params["readout"]
        for x, target, counted in zip(
            held_out.inputs_R[own], held_out.targets_R[own], held_out.loss_mask_R[own], strict=True
        ):
            h = np.tanh(x @ layer["kernel"] + h @ layer["recurrent_kernel"] + layer["bias"])
            hits[target] += bool(counted) and np.argmax(h @ readout["kernel"] + readout["bias"]) == target
            counts[target] += counted
    assert 0 < hits.sum() < counts.sum()
    assert found["held_out_accuracy"] == pytest.approx(hits.sum() / counts.sum())
    assert [float(found[f"class_recall[{c}]"]) for c in "abc"] == pytest.approx((hits / counts).tolist())


def test_sequences_without_classes_have_none() -> None:
    assert build_probe("classes", Spec(task=TaskSpec(name="sequences"), window=6), task_of("next")) == Facts({})
    with pytest.raises(NotApplicable, match="got 'series' with the probe 'classes'; expected 'sequences'"):
        build_probe("classes", Spec(task=TaskSpec(name="series"), window=6), task_of("next")._replace(sequences=None))


def test_a_report_has_a_curve_for_each_class() -> None:
    steps = np.array([0, 10, 20])
    probes = {f"class_recall[{c}]": RNG.uniform(size=(2, 3)) for c in "ab"} | {"validation_loss": np.ones((2, 3))}
    arm = ArmResult("gru", {}, np.arange(2), steps, {}, steps, probes, np.full(2, -1), {})
    [curves] = class_curves(arm)
    assert "each class over training (gru)" in curves.title
    means = [np.asarray(trace.y) for trace in curves.figure.data if trace.y is not None and len(trace.y) == 3]
    for c in "ab":
        assert any(np.allclose(mean, probes[f"class_recall[{c}]"].mean(axis=0)) for mean in means), c
    shown = BoardPlan({}, ["final_loss"], True, False).shown_probes([*probes, "held_out_accuracy", "other"])
    assert shown == ["validation_loss", *list(probes)[:2], "held_out_accuracy"]
    assert class_curves(arm._replace(probes={"class_recall[a]": np.ones((2, 3))})) == []
