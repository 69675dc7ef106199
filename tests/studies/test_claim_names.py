"""Names in claims: slips are refused with the nearest name first, and no name that a study may have is."""

from pathlib import Path

import pytest

from rnnjax.config.load import load_study
from rnnjax.errors import BadInput
from rnnjax.settings.checks import nearest_first, quote_commas
from rnnjax.studies.claim_names import check_claim_names, check_metric_like_another

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*/*.toml")), ids=lambda path: path.stem)
def test_the_names_of_the_shipped_studies_pass(path: Path) -> None:
    check_claim_names(load_study(path), own_code=False)


@pytest.mark.parametrize(
    ("metric", "nearest"),
    [("final_los", "final_loss"), ("validation_lossx", "validation_loss"), ("spectral_radus@100", "spectral_radius")],
)
def test_a_slip_is_refused_with_the_nearest_name_first(metric: str, nearest: str) -> None:
    with pytest.raises(BadInput, match=f"claims.c: got metric '{metric}'; expected one of: {nearest}"):
        check_metric_like_another("claims.c", metric)


@pytest.mark.parametrize(
    "metric",
    ["final_loss", "loss@5-10", "validation_loss@3", "spectral_radius_forget", "spectral_radius_forget_3", "zz"],
)
def test_a_name_that_a_study_may_have_passes(metric: str) -> None:
    """Also that of a gate, of a layer, and one that is like no other: the full check decides about these."""
    check_metric_like_another("claims.c", metric)


CLAIM = """
question = "q"
[base]
task.name = "{task}"
[[axes]]
learning_rate = [0.1, 0.2]
clip_norm = [1.0, 2.0]
[[claims]]
id = "c"
text = "t"
[[claims.criteria]]
rule = "{rule}"
metric = "{metric}"
arms = ["{arms}"]
high = 1.0
"""


def study(folder: Path, **changes: str) -> Path:
    path = folder / "study.toml"
    fields = {"task": "grammar", "rule": "bound", "metric": "final_loss", "arms": "rate=0.1,norm=1"} | changes
    path.write_text(CLAIM.format(**fields))
    return path


def test_arms_may_be_quoted(tmp_path: Path) -> None:
    loaded = load_study(study(tmp_path, arms="'rate=0.1,norm=1'"), patterns=["'rate=0.1,norm=1'", '"rate=0.2,norm=2"'])
    assert [arm.name for arm in loaded.arms] == ["rate=0.1,norm=1", "rate=0.2,norm=2"]
    assert loaded.file.claims[0].criteria[0].arms == ["rate=0.1,norm=1"]


def test_a_listed_arm_is_quoted_where_it_has_a_comma(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as refused:
        check_claim_names(load_study(study(tmp_path, arms="rate=0.2,norm=3")), own_code=False)
    arms = "'rate=0.2,norm=1', 'rate=0.2,norm=2'"
    assert str(refused.value).startswith("claims.c: got 'rate=0.2,norm=3'; expected one of the arms: 'rate=0.2,norm=")
    assert arms.split(", ")[0] in str(refused.value) and "'rate=0.1,norm=1'" in str(refused.value)
    assert quote_commas("base") == "base"


def test_code_of_the_users_own_may_define_more(tmp_path: Path) -> None:
    for changes in ({"rule": "bounds"}, {"metric": "final_los"}):
        loaded = load_study(study(tmp_path, **changes))
        check_claim_names(loaded, own_code=True)
        with pytest.raises(BadInput, match="expected one of"):
            check_claim_names(loaded, own_code=False)


def test_a_series_has_metrics_of_its_columns(tmp_path: Path) -> None:
    check_claim_names(load_study(study(tmp_path, task="series", metric="final_los")), own_code=False)


def test_nearest_first() -> None:
    assert nearest_first("lost", ["alpha", "loss", "beta"]) == ["loss", "alpha", "beta"]
    assert nearest_first("zzz", ["b", "a"]) == ["b", "a"]
