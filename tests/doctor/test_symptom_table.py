"""The table of symptoms: its conditions exist, and the README has the measured effects."""

from pathlib import Path

from rnnjax.doctor.conditions import NAMES
from rnnjax.doctor.remedies import known_effects
from rnnjax.doctor.symptom_table import BEGIN, END, SYMPTOMS, render_table, write_symptoms

ROOT = Path(__file__).parents[2]


def test_the_readme_says_what_was_measured() -> None:
    """`python scripts/report.py results/* --symptoms README.md` writes it."""
    readme = (ROOT / "README.md").read_text()
    assert readme.split(BEGIN + "\n")[1].split(END)[0] == render_table()


def test_every_condition_is_behind_one_symptom_at_most() -> None:
    named = [name for names in SYMPTOMS.values() for name in names]
    assert len(set(named)) == len(named)
    assert set(NAMES) - set(named) == {"row_leak", "future", "clip_always"}, "not what a user sees"


def test_a_row_has_the_remedy_and_its_effect(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nwas here\n{END}\nafter\n")
    write_symptoms(readme)
    text = readme.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "was here" not in text
    row = next(line for line in text.splitlines() if "(`clip_starves`)" in line)
    effect = known_effects()["clip_starves"]
    assert effect.difference and f"n = {effect.difference.n} (study clip)" in row and "threshold" in row
