"""One door for checks: arms that are one arm under two names."""

from pathlib import Path

import pytest

from rnnjax.config.load import load_study
from rnnjax.errors import BadInput
from rnnjax.studies.prepare import prepare_study

STUDY = """
question = "?"
seeds = 2
[base]
hidden = 16
window = 5
steps = 20
task.characters = 600
[[axes]]
{first}
[[axes]]
{second}
"""
NORMAL, XAVIER = "recurrent_initializer = ['normal']", "recurrent_initializer = ['xavier_normal']"


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (f"{NORMAL}\nrecurrent_gain = [0.25]", XAVIER, True),  # sqrt(2 / (16 + 16)) = 0.25
        (f"{NORMAL}\nrecurrent_gain = [0.125]", XAVIER, False),
        ("recurrent_initializer = ['he_normal']", f"{XAVIER}\nrecurrent_gain = [1.4142135]", True),
        (
            "recurrent_initializer = ['uniform']\nrecurrent_gain = [0.4330127]",
            "recurrent_initializer = ['xavier_uniform']",
            True,
        ),
        (f"{NORMAL}\nrecurrent_gain = [0.25]\nlearning_rate = [0.1]", XAVIER, False),
        ("kernel_initializer = ['he_normal']", "kernel_initializer = ['xavier_normal']", False),  # the readout differs
    ],
)
def test_one_distribution_under_two_names_is_refused(tmp_path: Path, first: str, second: str, same: bool) -> None:
    path = tmp_path / "twins.toml"
    path.write_text(STUDY.format(first=first, second=second))
    study = load_study(path)
    if same:
        with pytest.raises(BadInput, match="start from the same distributions"):
            prepare_study(study)
    else:
        assert len(prepare_study(study).study.arms) == 2


def test_two_probes_of_one_value_are_refused(tmp_path: Path) -> None:
    """One would overwrite the other."""
    path = tmp_path / "both.toml"
    path.write_text("question = '?'\n[base]\nsteps = 100\nhidden = 4\n[probes]\ntext = 1\ndecoders = 1\n")
    with pytest.raises(BadInput, match="probes.decoders: another probe measures loop_rate_greedy, loop_rate_sampled"):
        prepare_study(load_study(path))
