"""Names of before 0.2 are refused with the names that they have now, in a file and after `--set`."""

from pathlib import Path

import pytest

from rnnjax.config import renamed
from rnnjax.config.fields import FIELDS
from rnnjax.config.load import load_study
from rnnjax.errors import BadInput

CLAIM = """
[[claims]]
id = "c"
text = "t"
[[claims.criteria]]
rule = "bound"
metric = "final_loss"
arms = ["*"]
low = 0.0
"""


def refusal(tmp_path: Path, text: str, *overrides: str) -> str:
    file = tmp_path / "study.toml"
    file.write_text('question = "?"\n' + text)
    with pytest.raises(BadInput) as raised:
        load_study(file, overrides)
    message = str(raised.value)
    assert "\n" not in message
    return message.replace(str(file), "study.toml")


@pytest.mark.parametrize(("old", "new"), renamed.SETTINGS.items())
def test_an_old_setting_is_refused_with_its_new_name(old: str, new: str, tmp_path: Path) -> None:
    words = f"unknown field '{old}'; it is called '{new}' since 0.2"
    assert new in FIELDS and old not in FIELDS
    assert refusal(tmp_path, f"[base]\n{old} = 1\n") == f"study.toml: {words}"
    assert refusal(tmp_path, f"[[axes]]\n{old} = [1, 2]\n") == f"study.toml:axes: {words}"
    assert refusal(tmp_path, "", f"{old}=0.2") == f"--set: {words}"


@pytest.mark.parametrize(("old", "new"), [("right", "time"), ("swapped", "batch")])
def test_an_old_value_is_refused_with_its_new_name(old: str, new: str, tmp_path: Path) -> None:
    words = f"task.time_axis: got '{old}'; it is called '{new}' since 0.2"
    assert refusal(tmp_path, f"[base]\ntask.time_axis = '{old}'\n") == f"study.toml:{words}"
    assert refusal(tmp_path, "", f"task.time_axis={old}") == f"--set:{words}"


STUDIES = {
    "says": ("claims.0", CLAIM.replace('\ntext = "t"', '\nsays = "t"'), "text"),
    "readings": ("claims.0", CLAIM.replace("claims.criteria", "claims.readings"), "criteria"),
    "against": ("claims.0.criteria.0", CLAIM + 'against = ["*"]\n', "compared_to"),
    "against_metric": ("claims.0.criteria.0", CLAIM + 'against_metric = "m"\n', "compared_metric"),
    "beside": ("claims.0.criteria.0", CLAIM + 'beside = ["m"]\n', "other_metrics"),
    "given": ("claims.0.criteria.0", CLAIM + 'given = "m"\n', "controlling_for"),
    "over": ("claims.0.criteria.0", CLAIM + "over = [1]\n", "divided_by"),
    "asks": ("questions.0", '[[questions]]\nasks = "?"\nmetric = "final_loss"\n', "text"),
    "nearest": ("", "[nearest]\nby = []\n", "conventions"),
    "draws": ("", "[draws]\ncount = 3\n", "initial_statistics"),
}


def test_every_old_key_of_a_study_has_a_case() -> None:
    assert STUDIES.keys() == renamed.STUDY_KEYS.keys()


@pytest.mark.parametrize("old", STUDIES)
def test_an_old_key_is_refused_with_its_new_name(old: str, tmp_path: Path) -> None:
    place, text, new = STUDIES[old]
    where = f"study.toml:{place} "
    assert refusal(tmp_path, text) == f"{where}unknown field '{old}'; it is called '{new}' since 0.2"


def test_a_name_that_was_never_known_has_no_new_one(tmp_path: Path) -> None:
    assert refusal(tmp_path, "[base]\nhiden = 1\n") == "study.toml: unknown field 'hiden'; did you mean 'hidden'?"
