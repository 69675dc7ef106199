"""Planted faults are named first: two seeds of each, tiny networks; `scripts/casebook.py` measures more of them."""

from pathlib import Path

import pytest

from benchmarks.doctor.abroad import ABROAD
from benchmarks.doctor.healthy import HEALTHY, own
from benchmarks.doctor.planted_faults import AT_FLOOR, FAULTS, Case, examine_each
from benchmarks.doctor.sequences import SEQUENCES
from rnnjax.doctor.conditions import CONDITIONS

pytestmark = pytest.mark.slow

SEEDS = (1, 2)
QUICK = (  # they share one trained network, or a program; the others are in the casebook
    "target_leak",
    "row_leak",
    "swapped_axes",
    "silent_streams",
    "last_step",
    "no_memory",
    "frozen",
    "rate_too_low",
    "vanishing",
    "identical",
)


@pytest.mark.parametrize("case", [case for case in FAULTS if case.name in QUICK], ids=lambda case: case.name)
def test_a_planted_fault_is_named_first(case: Case) -> None:
    for found in examine_each(case, SEEDS):
        assert found.findings[0].name == case.name


def test_a_healthy_network_gets_no_alarm() -> None:
    for found in examine_each(own.CASES["cell", "elman on grammar"], SEEDS):
        assert found.faults == ()
        unchecked = {check.name: check.outcome for check in found.checks if check.outcome.startswith("not ch")}
        assert unchecked == {}
        assert {"unscaled", "runaway"} <= {check.name for check in found.checks if check.outcome == "not applicable"}


def test_a_network_at_its_floor_is_told_so() -> None:
    for found in examine_each(AT_FLOOR, SEEDS):
        assert [finding.name for finding in found.findings] == ["floor", "unforeseeable"]


def test_every_fault_has_a_case_in_one_of_the_casebooks() -> None:
    names = [case.name for case in FAULTS]
    known = {condition.name for condition in CONDITIONS if condition.kind == "fault"}
    assert len(set(names)) == len(names) >= 15 and set(QUICK) <= set(names) <= known
    others = {case.expected for case in (*ABROAD, *SEQUENCES)}
    assert (set(names) | others) & known == known


CASEBOOK = Path(__file__).parents[2] / "results" / "doctor" / "casebook.json"


@pytest.mark.skipif(not CASEBOOK.is_file(), reason="the casebook has not been measured")
def test_the_casebook_keeps_its_promise() -> None:
    from rnnjax.storage.files import read_json

    tree = read_json(CASEBOOK)
    assert {row["name"] for row in tree["faults"]} == {case.name for case in (*FAULTS, AT_FLOOR)}
    assert all(row["first"] >= 0.9 * row["seeds"] for row in tree["faults"])
    assert {row["name"] for row in tree["healthy"]} == {group.name for group in HEALTHY}
    alarms = [bool(names) for row in tree["healthy"] for names in row["alarms"]]
    assert len(alarms) >= 200 and sum(alarms) <= len(alarms) / 100


ABROAD_TABLE = CASEBOOK.with_name("abroad.json")


@pytest.mark.skipif(not ABROAD_TABLE.is_file(), reason="the casebook abroad has not been measured")
def test_every_case_abroad_is_right() -> None:
    from rnnjax.storage.files import read_json

    rows = read_json(ABROAD_TABLE)
    assert {row["member"] for row in rows} == {case.name for case in ABROAD}
    assert [row["member"] for row in rows if not row["right"]] == []


SEQUENCE_TABLE = CASEBOOK.with_name("sequences.json")


@pytest.mark.skipif(not SEQUENCE_TABLE.is_file(), reason="the casebook of sequences has not been measured")
def test_faults_of_sequences_are_named_first_in_nine_of_ten() -> None:
    from rnnjax.storage.files import read_json

    rows = read_json(SEQUENCE_TABLE)
    assert {(row["kind"], row["member"]) for row in rows} <= {(case.kind, case.name) for case in SEQUENCES}
    planted = {case.expected for case in SEQUENCES} - {""}
    assert {row["expected"] for row in rows if row["expected"]} == planted
    assert [row["member"] for row in rows if row["expected"] and row["right"] < 0.9 * row["seeds"]] == []
    healthy = [row for row in rows if not row["expected"]]
    assert sum(row["right"] for row in healthy) >= 0.98 * sum(row["seeds"] for row in healthy)
