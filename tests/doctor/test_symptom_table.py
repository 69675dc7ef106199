"""The table of symptoms: what it names is there, and docs/troubleshooting.md has what the studies measured."""

from pathlib import Path

from rnnjax.doctor.conditions import NAMES
from rnnjax.doctor.remedies import load_effects
from rnnjax.doctor.symptom_table import SYMPTOMS, SYMPTOMS_BEGIN, SYMPTOMS_END, render_table, write_symptoms

ROOT = Path(__file__).parents[2]


def test_the_page_has_the_measured_effects() -> None:
    """`python scripts/report.py results/* --symptoms docs/troubleshooting.md` writes it."""
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    assert page.split(SYMPTOMS_BEGIN + "\n")[1].split(SYMPTOMS_END)[0] == render_table()


def test_every_condition_is_behind_one_symptom() -> None:
    named = [name for names in SYMPTOMS.values() for name in names]
    assert sorted(named) == sorted(NAMES)


def test_a_row_has_the_remedy_and_its_effect(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{SYMPTOMS_BEGIN}\nwas here\n{SYMPTOMS_END}\nafter\n")
    write_symptoms(readme)
    text = readme.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "was here" not in text
    row = next(line for line in text.splitlines() if "(`clip_starves`)" in line)
    effect = load_effects()["clip_starves"]
    assert effect.difference and f"n = {effect.difference.n} (study clip)" in row and "threshold" in row
