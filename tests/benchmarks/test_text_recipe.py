"""The tables of docs/training.md are those of results/text; measures of texts, on a text made by hand."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.text.recipe import markdown
from benchmarks.text.temperatures import LENGTH, PROMPT, PROMPTS, held_out_pieces, measures
from rnnjax.config.load import load_study
from rnnjax.settings import TaskSpec
from rnnjax.settings.vocabulary import text_to_ids
from rnnjax.tasks.text import text_task
from rnnjax.types import Task

ROOT = Path(__file__).parents[2]
FOUND = json.loads((ROOT / "results/text/text.json").read_text())
PAGE = (ROOT / "docs/training.md").read_text()


def cells(page: str) -> list[list[str]]:
    """The rows of all tables of a page."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]


def test_the_page_of_results_is_that_of_its_numbers() -> None:
    assert (ROOT / "results/text/text.md").read_text() == markdown(FOUND)


def test_the_guide_has_the_measured_numbers() -> None:
    rows = cells(PAGE)
    for size in FOUND["sizes"]:
        loss = np.mean(size["held_out_losses"])
        assert [str(size["hidden"]), f"{loss:.3f}", f"{size['cpu_seconds']:.0f}"] in [row[:3] for row in rows]
    for choice in FOUND["choices"]:
        values = choice["held_out_losses"]
        assert [choice["choice"], f"{np.mean(values):.2f}"] in [[row[0].strip("`"), *row[2:3]] for row in rows]
    assert f"{FOUND['ngram_losses'][-1]:.3f}" in PAGE
    for row in FOUND["temperatures"]:
        if row["temperature"] in ("true text", 1.0, 0.7):
            assert f"{row['known_words']:.0%}" in PAGE and f"{row['fewest']:.0%}" in PAGE


def test_the_recipe_is_at_or_below_the_longest_ngrams() -> None:
    hidden = load_study(ROOT / "configs/train/text.toml").arms[0].spec.hidden
    [recipe] = [size for size in FOUND["sizes"] if size["hidden"] == hidden]
    assert max(recipe["held_out_losses"]) <= FOUND["ngram_losses"][-1]
    assert recipe["cpu_seconds"] <= 600, "10 minutes, even on one core"


@pytest.fixture(scope="module")
def task() -> Task:
    rng = np.random.default_rng(0)
    words = rng.choice(["ab", "ba", "abba", "b"], 8_000)
    return text_task(TaskSpec(name="text"), " ".join(words) + " " + " ".join(["ab", "zz"] * 400))


def test_words_are_known_that_the_training_part_has(task: Task) -> None:
    ids_N = text_to_ids(" ab zz ba zz " * 50, task.vocabulary)
    found = measures(task, np.stack([ids_N, text_to_ids(" ab ba ab ba " * 50, task.vocabulary)], axis=1))
    assert (found["known_words"], found["fewest"]) == (0.75, 0.5)


def test_pieces_are_evenly_spread(task: Task) -> None:
    pieces_TP = held_out_pieces(task)
    assert pieces_TP.shape == (PROMPT + LENGTH, PROMPTS)
    np.testing.assert_array_equal(pieces_TP[:, 0], task.validation_N[: PROMPT + LENGTH])
    np.testing.assert_array_equal(pieces_TP[:, -1], task.validation_N[-(PROMPT + LENGTH) :])
