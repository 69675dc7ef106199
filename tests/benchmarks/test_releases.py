"""The comparison of releases: ratios by hand, and two environments that are one."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.releases import compare, tables
from benchmarks.releases.settings import CELLS, DIGEST_STEPS, OPTIMIZERS, QUICK_SETTINGS, SETTINGS
from rnnjax.errors import BadInput

PYTHON = Path(sys.executable)


def turns(*processor: float) -> list[dict[str, float]]:
    return [{"processor": seconds, "wall": 2 * seconds} for seconds in processor]


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    """Rounds of 1, 2 and 9 seconds against 2, 2 and 3: ratios 1/2, 1 and 3. 4 steps are taken in each."""
    figures = compare.time_figures(turns(1, 2, 9), turns(2, 2, 3), steps=4)
    assert figures["time_ratio"] == 1 and figures["time_ratio_range"] == [0.5, 3]
    assert figures["processor_microseconds"] == 2 / 4 * 1e6 and figures["clock_microseconds"] == 4 / 4 * 1e6
    assert figures["fastest_processor_microseconds"] == 1 / 4 * 1e6


def test_differences_are_told_by_step() -> None:
    one, other = (
        {"digests": {"0": "a", "1": "b"}, "losses": [1, 2]},
        {"digests": {"0": "a", "1": "c"}, "losses": [1, 4]},
    )
    assert compare.differences(one, other) == {"equal": {"0": True, "1": False}, "largest_loss_difference": 2}


def test_three_cells_with_two_optimizers_are_compared() -> None:
    assert len({setting.cell for setting in CELLS}) == 3 and len(OPTIMIZERS) == 2
    assert len(set(SETTINGS)) == 6


@pytest.mark.slow
def test_the_same_release_has_the_same_bits(tmp_path: Path) -> None:
    """In two processes; and the table has a line for each."""
    found = compare.measure([(PYTHON, ""), (PYTHON, "")], QUICK_SETTINGS[:1], rounds=1)
    (compared,) = found["settings"]
    first, second = compared["releases"]
    assert first["digests"] == second["digests"] and all(second["equal"].values())
    assert list(first["digests"]) == [str(step) for step in DIGEST_STEPS] and len(set(first["digests"].values())) == 3
    assert second["largest_loss_difference"] == 0 and np.isfinite(first["losses"]).all()
    assert tables.markdown(json.loads(json.dumps(found))).count("| elman, sgd") == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["/nope"], "PYTHON: got '/nope'; expected the interpreter of an environment"),
        ([str(PYTHON), "--rounds", "0"], "--rounds: got 0; expected at least 1"),
        ([str(PYTHON), "--json", "x.md"], "--json: got x.md; expected a file, not .md, in a folder that is there"),
    ],
)
def test_bad_options_are_refused_before_anything_is_trained(given: list[str], message: str) -> None:
    with pytest.raises(BadInput) as raised:
        compare.check(compare.build_options().parse_args(given))
    assert str(raised.value) == message


def test_an_interpreter_without_rnnjax_is_named(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(BadInput, match="the process has ended"), compare.open_environment(python):
        pass
