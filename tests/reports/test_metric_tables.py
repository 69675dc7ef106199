"""Wide tables become narrow ones by topic, with nothing lost."""

import math

import pytest

from rnnjax.reports.document import ReportSettings, ReportTable
from rnnjax.reports.metric_tables import MAX_COLUMNS, METRICS, OTHER, chosen_columns, settings_table, split_table, topic

COLUMNS = ["arm", "diverged", "final_loss (nats per character)", "loop_rate_greedy", "spectral_radius@0"]
COLUMNS += [f"memory_{lag}_{lag + 3}" for lag in range(8)] + ["smooth_loss (nats per character)"]


@pytest.fixture
def table() -> ReportTable:
    rows = [[name, *(f"{name}{i}" for i in range(1, len(COLUMNS)))] for name in "ab"]
    return ReportTable(METRICS, "Every metric", COLUMNS, rows, "note")


def test_every_cell_is_in_exactly_one_part_beside_its_arm(table: ReportTable) -> None:
    parts = split_table(table)
    found = [(row[0], column, cell) for part in parts for row in part.rows
             for column, cell in list(zip(part.columns, row, strict=True))[1:]]  # fmt: skip
    wanted = [(row[0], column, cell) for row in table.rows for column, cell in list(zip(COLUMNS, row, strict=True))[1:]]
    assert sorted(found) == sorted(wanted)
    assert all(part.columns[0] == "arm" and len(part.columns) <= MAX_COLUMNS for part in parts)
    assert all(part.name == METRICS for part in parts), "the CSV holds the whole table"


def test_parts_are_named_by_topic_in_the_order_of_the_columns(table: ReportTable) -> None:
    titles = [(part.title, len(part.columns)) for part in split_table(table)]
    assert titles == [
        ("Runs and sizes", 2),
        ("Loss and speed", 3),
        ("Generated text", 2),
        ("Recurrent kernel", 2),
        ("Memory (1 of 2)", 5),
        ("Memory (2 of 2)", 5),
    ]


def test_the_columns_to_be_shown_first_are_a_table_of_their_own(table: ReportTable) -> None:
    shown = [COLUMNS[4], "gone", COLUMNS[2]]
    found = chosen_columns(table._replace(shown=shown))
    assert found is not None and found.columns == ["arm", COLUMNS[4], COLUMNS[2]]
    assert found.rows == [["a", "a4", "a2"], ["b", "b4", "b2"]]
    assert chosen_columns(table) is None and chosen_columns(table._replace(shown=["gone"])) is None
    narrow = ReportTable(METRICS, "t", COLUMNS[:MAX_COLUMNS], [], "", shown)
    assert chosen_columns(narrow) is None, "it is shown whole"


def test_other_tables_are_cut_in_order_and_narrow_ones_are_whole(table: ReportTable) -> None:
    first, *_, last = split_table(table._replace(name="table-1"))
    assert first.title == "Every metric (1 of 3)" and first.columns[1] == "diverged" and last.columns[-1] == COLUMNS[-1]
    narrow = ReportTable(METRICS, "t", COLUMNS[:MAX_COLUMNS], [])
    assert split_table(narrow) == [narrow]


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        ("validation_loss (nats per character)", "Loss and speed"),
        ("spectral_norm", "Recurrent kernel"),
        ("largest_norm", "Gradients"),
        ("memory_1_3", "Memory"),
        ("sentence_length_beam_10 (characters)", "Generated text"),
        ("something (loss)", OTHER),
    ],
)
def test_the_topic_follows_from_the_words_of_the_name(column: str, wanted: str) -> None:
    assert topic(column) == wanted


def test_settings_that_differ_are_a_table() -> None:
    found = settings_table(
        ReportSettings({"a": {"gain": 1.0}, "b": {"gain": math.inf, "window": 5}}, {"cell": "elman"})
    )
    assert found is not None
    assert found.columns == ["arm", "gain", "window"] and found.rows == [["a", 1.0, None], ["b", math.inf, 5]]
    assert settings_table(ReportSettings({"a": {}}, {"cell": "elman"})) is None
