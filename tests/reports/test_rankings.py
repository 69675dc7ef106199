"""Answers to questions name few arms, and the samples that come first are those of three arms."""

from dataclasses import replace

import numpy as np
import pytest
from finished import grid, grid_page, results_of

from rnnjax.analysis.results import ArmResult, Results
from rnnjax.config.schema import QuestionSpec
from rnnjax.reports.build import first_question
from rnnjax.reports.rankings import MOST_NAMED, ranking
from rnnjax.reports.samples import samples
from rnnjax.reports.summary import study_title
from rnnjax.settings.metrics import Metric

QUESTION = QuestionSpec("Which is lowest?", "loss")


def _arms(means: list[float], spread: float = 0.01) -> list[ArmResult]:
    _, known = grid()
    noise_n = spread * np.linspace(-1, 1, 6)
    return [known[0]._replace(name=f"arm{i}", metrics={"loss": mean + noise_n}) for i, mean in enumerate(means)]


def test_few_arms_are_all_named() -> None:
    sentence, rows = ranking(QUESTION, _arms([3.0, 1.0, 2.0]))
    places = [sentence.index(name) for name in ("arm1 1", "arm2 2", "arm0 3")]
    assert places == sorted(places)
    assert rows == [] and sentence.startswith("By loss in nats per character, lowest first: ")


@pytest.mark.parametrize("best", ["lowest", "highest"])
def test_of_many_arms_the_first_and_the_last_are_named_and_all_are_rows(best: str) -> None:
    means = [float(mean) for mean in np.random.default_rng(0).permutation(20)]
    sentence, rows = ranking(replace(QUESTION, best=best), _arms(means))  # type: ignore[arg-type]
    order = sorted(range(20), key=lambda i: means[i] * (1 if best == "lowest" else -1))
    assert [row.what for row in rows] == [f"arm{i}" for i in order]
    named = [name for name in (f"arm{i} " for i in range(20)) if name in sentence]
    assert sorted(named) == sorted(f"arm{i} " for i in [*order[:3], order[-1]])
    assert "last of 20" in sentence and sentence.endswith("The first is told apart from all others.")
    assert len(sentence) < 300


def test_ties_with_the_first_are_named_or_counted() -> None:
    near = _arms([1.0, 1.0, 1.0, *[5.0] * 5])
    assert ranking(QUESTION, near)[0].endswith("Not told apart from the first: arm1, arm2.")
    many = ranking(QUESTION, _arms([1.0] * (MOST_NAMED + 3)))[0]
    assert many.endswith(f"Not told apart from the first: {MOST_NAMED + 2} arms.")


def test_nothing_is_said_of_ties_where_the_first_has_lost_a_run() -> None:
    arms = _arms([float(mean) for mean in range(8)])
    arms[0].metrics["loss"][2] = np.nan
    assert ranking(QUESTION, arms)[0].endswith("(mean, 95% interval).")
    lost = [arm._replace(metrics={"loss": np.full(6, np.nan)}) for arm in arms]
    assert ranking(QUESTION, lost) == ("No run has a finite loss.", [])


def _with_texts(losses: list[float], baseline: str) -> Results:
    study, known = grid()
    info = {"text_greedy": Metric("a text", kind="text")}
    arms = [
        arm._replace(probes={"text_greedy": np.zeros((12, 1, 4), int)}, info=info,
                     metrics={"final_loss": np.full(12, loss)})
        for arm, loss in zip(known, losses, strict=False)
    ]  # fmt: skip
    results = results_of(study, arms)
    return replace(results, study=study._replace(file=replace(study.file, baseline=baseline)))


def test_the_samples_of_baseline_best_and_worst_have_their_role() -> None:
    names = [arm.name for arm in grid()[1]]
    found = samples(_with_texts([3.0, 1.0, 2.0, 9.0], names[2]))
    roles = {sample.arm: sample.role for sample in found}
    assert len(found) == 4 and all(len(sample.text) == 4 for sample in found)
    assert roles == {names[0]: "", names[1]: "lowest final loss", names[2]: "baseline", names[3]: "highest final loss"}
    both = samples(_with_texts([3.0, 1.0], names[1]))
    assert [sample.role for sample in both] == ["highest final loss", "baseline, lowest final loss"]
    assert [sample.role for sample in samples(_with_texts([3.0], names[0]))] == ["baseline, lowest final loss"]


def test_a_study_without_a_title_is_called_by_its_question() -> None:
    study, _ = grid()
    assert study_title(study) == study.file.title == grid_page().title
    own = study._replace(file=replace(study.file, title="", question="Does it\n  learn?"))
    assert study_title(own) == "Does it learn?"


def test_the_answer_names_the_best_arm_also_of_a_study_without_questions() -> None:
    study, _ = grid()
    assert first_question(study) == study.file.questions[0]
    silent = study._replace(file=replace(study.file, questions=[]))
    assert first_question(silent).metric == "final_loss"  # type: ignore[union-attr]
    assert first_question(silent._replace(arms=study.arms[:1])) is None
