"""The index of a table: its notations, its order, gaps and panels; the rows that follow; codes for missing values."""

import numpy as np
import pytest

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks.tables.missing import Numbers
from rnnjax.tasks.tables.read import Table, read_table
from rnnjax.tasks.tables.spacing import continue_index
from rnnjax.tasks.tables.suspicions import find_suspicions
from rnnjax.tasks.tables.times import parse_times
from rnnjax.types import RowIndex

N = 48
VALUES = np.random.default_rng(1).normal(size=N).round(3).tolist()


def table(labels: list[str], name: str = "when", **fields: str) -> Table:
    lines = [f"{label},{value}" for label, value in zip(labels, VALUES * 9, strict=False)]
    return read_table("\n".join([f"{name},x", *lines]), TaskSpec(name="series", **fields))  # type: ignore[arg-type]


def refusal(labels: list[str], name: str = "when", **fields: str) -> str:
    with pytest.raises(BadInput) as refused:
        table(labels, name, **fields)
    return str(refused.value)


def following(found: Table, length: int = 2) -> list[str]:
    index = found.index_at(len(found.values_ND) - 1)
    assert index is not None
    return continue_index(index, length)


def days(count: int = N, first: str = "2021-01-05", step: int = 1) -> list[str]:
    return [str(np.datetime64(first) + np.timedelta64(step * day, "D")) for day in range(count)]


def hours(count: int = N, first: str = "2021-01-05T00", step: int = 1) -> list[str]:
    return [str(np.datetime64(first, "h") + np.timedelta64(step * hour, "h")) + ":00" for hour in range(count)]


def months(count: int = N) -> list[str]:
    return [str(np.datetime64("2017-03") + np.timedelta64(month, "M")) for month in range(count)]


MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def half_day(hour: str) -> str:
    """An hour as Excel writes it in the United States."""
    clock = int(hour[11:13])
    return f"{hour[5:7]}/{hour[8:10]}/{hour[:4]} {(clock + 11) % 12 + 1}:00 {'AM' if clock < 12 else 'PM'}"


NOTATIONS = {  # name -> labels, their usual step, the two labels that follow
    "ISO": (days(), "microseconds", ["2021-02-22", "2021-02-23"]),
    "ISO, weeks": (days(step=7), "microseconds", ["2021-12-07", "2021-12-14"]),
    "ISO with a T": (hours(), "microseconds", ["2021-01-07T00:00", "2021-01-07T01:00"]),
    "ISO with seconds and a zone": (
        [f"{hour}:00Z" for hour in hours()],
        "microseconds",
        ["2021-01-07T00:00:00Z", "2021-01-07T01:00:00Z"],
    ),
    "ISO with an offset": (
        [f"{hour}:00+02:00" for hour in hours()],
        "microseconds",
        ["2021-01-07T00:00:00+02:00", "2021-01-07T01:00:00+02:00"],
    ),
    "slashes": ([day.replace("-", "/") for day in days()], "microseconds", ["2021/02/22", "2021/02/23"]),
    "d.m.Y": ([".".join(day.split("-")[::-1]) for day in days()], "microseconds", ["22.02.2021", "23.02.2021"]),
    "d.m.y": ([".".join(day[2:].split("-")[::-1]) for day in days()], "microseconds", ["22.02.21", "23.02.21"]),
    "d/m/Y": (["/".join(day.split("-")[::-1]) for day in days()], "microseconds", ["22/02/2021", "23/02/2021"]),
    "m/d/Y": (
        [f"{int(day[5:7])}/{int(day[8:])}/{day[:4]}" for day in days()],
        "microseconds",
        ["2/22/2021", "2/23/2021"],
    ),
    "m/d/Y h AM": ([half_day(hour) for hour in hours()], "microseconds", ["01/07/2021 12:00 AM", "01/07/2021 1:00 AM"]),
    "d-Mon-Y": (
        [f"{day[8:]}-{MONTHS[int(day[5:7]) - 1]}-{day[:4]}" for day in days()],
        "microseconds",
        ["22-Feb-2021", "23-Feb-2021"],
    ),
    "eight digits": ([day.replace("-", "") for day in days()], "microseconds", ["20210222", "20210223"]),
    "ISO weeks": ([f"2021-W{week:02}" for week in range(3, 51)], "microseconds", ["2021-W51", "2021-W52"]),
    "months": (months(), "months", ["2021-03", "2021-04"]),
    "first days of months": ([f"{month}-01" for month in months()], "months", ["2021-03-01", "2021-04-01"]),
    "last days of months": (
        [
            str((np.datetime64(month) + np.timedelta64(1, "M")).astype("M8[D]") - np.timedelta64(1, "D"))
            for month in months()
        ],
        "months",
        ["2021-03-31", "2021-04-30"],
    ),
    "quarters": ([f"{2000 + i // 4}Q{i % 4 + 1}" for i in range(N)], "months", ["2012Q1", "2012Q2"]),
    "Excel's months": ([f"{MONTHS[i % 12]}-{10 + i // 12}" for i in range(N)], "months", ["Jan-14", "Feb-14"]),
    "working days": (
        [str(np.busday_offset("2021-01-04", i)) for i in range(N)],
        "weekdays",
        ["2021-03-11", "2021-03-12"],
    ),
    "years": ([str(1950 + i) for i in range(N)], "count", ["1998", "1999"]),
    "epoch": ([str(1_600_000_000 + 600 * i) for i in range(N)], "microseconds", ["1600028800", "1600029400"]),
    "epoch in milliseconds": (
        [str(1_600_000_000_000 + 500 * i) for i in range(N)],
        "microseconds",
        ["1600000024000", "1600000024500"],
    ),
    "time of day": (
        [f"{i // 4 % 24:02}:{i % 4 * 15:02}" for i in range(90, 90 + N)],
        "microseconds",
        ["10:30", "10:45"],
    ),
    "irregular": (days(20) + days(28, "2022-03-05", 9), "rows", ["49", "50"]),
}


@pytest.mark.parametrize("name", NOTATIONS)
def test_dates_are_the_index_and_go_on(name: str) -> None:
    labels, unit, expected = NOTATIONS[name]
    found = table(labels, "year" if name == "years" else "time")
    assert found.names == ("x",) and found.values_ND[:, 0].tolist() == VALUES
    assert found.row_labels is not None and found.row_labels.labels == tuple(labels)
    assert found.spacing is not None
    if name == "irregular":
        return
    assert (found.spacing.unit, following(found)) == (unit, expected)
    assert not [notice for notice in found.notices if notice.kind in ("gap", "duplicate", "zone")]


@pytest.mark.parametrize("name", [name for name in NOTATIONS if name != "irregular"])
def test_dates_go_on_from_the_middle_as_the_file_does(name: str) -> None:
    labels = NOTATIONS[name][0]
    found = table(labels, "year" if name == "years" else "time")
    index = found.index_at(19)
    assert index is not None and continue_index(index, 20) == labels[20:40]


def test_what_is_not_equally_spaced_goes_on_by_numbers_of_rows() -> None:
    rng = np.random.default_rng(0)
    found = table(
        [str(np.datetime64("2021-01-01") + np.timedelta64(int(day), "D")) for day in np.cumsum(rng.integers(1, 90, N))]
    )
    assert following(found) == ["49", "50"]
    assert [str(notice) for notice in found.notices] == [
        "column 'when' is not equally spaced; the network reads the rows as if it were"
    ]


def test_the_order_tells_day_from_month() -> None:
    both = ["01/02/2021", "02/02/2021", "03/02/2021", "04/02/2021"]
    found = parse_times(both)
    assert found is not None and found.notation == "31/01/2021"
    months_first = parse_times([f"01/{day:02}/2021" for day in range(2, 8)])
    assert months_first is not None and months_first.notation == "01/31/2021"


@pytest.mark.parametrize(
    "cell",
    ["13.5", "2021", "5", "1.234.567", "32.01.2021", "2021-13-01", "2021-02-30", "25:00", "Foo 2021", "12/31", "a"],
)
def test_what_is_no_date(cell: str) -> None:
    assert parse_times([cell]) is None


def test_few_mistyped_dates_lie_between_their_neighbours() -> None:
    labels = days(100)
    labels[40] = "2021-02x14"
    found = table(labels)
    assert [str(notice) for notice in found.notices] == [
        "column 'when' has 1 cells that are no dates like the others, first '2021-02x14' (line 42); placed between "
        "their neighbours"
    ]


# Order


@pytest.mark.parametrize(
    ("labels", "name", "what"),
    [
        (days()[::-1], "Date", "dates"),
        (hours()[::-1], "t", "dates"),
        (months()[::-1], "m", "dates"),
        ([str(2020 - i) for i in range(N)], "Year", "labels"),
    ],
)
def test_rows_that_run_backwards_are_refused_and_can_be_turned(labels: list[str], name: str, what: str) -> None:
    message = refusal(labels, name)
    assert f"column {name!r}: the {what} run backwards, from {labels[0]!r} (line 2) to {labels[-1]!r}" in message
    assert message.endswith("use --set task.order=reverse")
    for order in ("reverse", "sort"):
        turned = table(labels, name, order=order)
        assert turned.values_ND[:, 0].tolist() == VALUES[::-1]
        assert turned.row_labels is not None and turned.row_labels.labels == tuple(labels[::-1])
    assert table(labels, name, order="file").values_ND[:, 0].tolist() == VALUES


def test_mixed_rows_are_refused_and_can_be_sorted() -> None:
    labels = days()
    labels[10], labels[20] = labels[20], labels[10]
    message = refusal(labels)
    assert (
        "the dates are not in order: '2021-01-16' (line 13) follows '2021-01-25'; use --set task.order=sort" in message
    )
    expected = [*VALUES[:10], VALUES[20], *VALUES[11:20], VALUES[10], *VALUES[21:]]
    assert table(labels, order="sort").values_ND[:, 0].tolist() == expected


def panel(stations: list[str], labels: list[str], **fields: str) -> str | Table:
    lines = [f"{a},{b},{v}" for a, b, v in zip(stations, labels, VALUES, strict=True)]
    try:
        return read_table("\n".join(["station,day,x", *lines]), TaskSpec(name="series", columns="x", **fields))  # type: ignore[arg-type]
    except BadInput as error:
        return str(error)


def test_series_below_each_other_are_named_and_one_can_be_chosen() -> None:
    stations, labels = ["A"] * 24 + ["B"] * 24, days(24) * 2
    message = panel(stations, labels)
    assert isinstance(message, str)
    assert "column 'day': 2 series one below the other: '2021-01-05' (line 26) follows '2021-01-28'" in message
    assert message.endswith("choose one of A, B with --set task.where=station=A")
    chosen = panel(stations, labels, where="station=B")
    assert isinstance(chosen, Table) and chosen.values_ND[:, 0].tolist() == VALUES[24:]


def test_series_in_turn_are_named() -> None:
    stations, labels = ["A", "B", "C"] * 16, [day for day in days(16) for _ in range(3)]
    message = panel(stations, labels)
    assert isinstance(message, str) and "several series in one table: most dates occur 3 times" in message
    assert message.endswith("choose one of A, B, C with --set task.where=station=A")
    chosen = panel(stations, labels, where="station=C")
    assert isinstance(chosen, Table) and chosen.values_ND[:, 0].tolist() == VALUES[2::3]


def test_series_without_a_name_are_told_apart_by_their_lines() -> None:
    message = refusal(days(24) * 2)
    assert message.endswith("read the first alone with --set task.skip_lines=26-49")
    assert table(days(24) * 2, skip_lines="26-49").values_ND[:, 0].tolist() == VALUES[:24]


def test_series_later_than_each_other_but_overlapping_are_named() -> None:
    message = panel(["A"] * 24 + ["B"] * 24, days(24) + days(24, "2021-01-20"))
    assert isinstance(message, str) and "2 series one below the other" in message


def test_words_that_may_name_series_are_noticed_where_no_index_shows_one() -> None:
    def noticed(words: list[str]) -> list[str]:
        lines = [f"{word},{value}" for word, value in zip(words, VALUES, strict=True)]
        found = read_table("\n".join(["word,x", *lines]), TaskSpec(name="series", columns="x"))
        return [str(notice) for notice in found.notices]

    for words, layout in ((["A"] * 24 + ["B"] * 24, "one below the other"), (["A", "B"] * 24, "in turn")):
        assert noticed(words) == [
            f"column 'word' may name 2 series in one table, {layout}; choose one with --set task.where=word=A"
        ]
    assert noticed(["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"] * 6 + ["Mo", "Tu", "We", "Th", "Fr", "Sa"]) == []
    assert noticed(["sun", "rain", "sun", "sun"] * 12) == []


def test_a_counter_that_begins_again_is_a_panel_unless_it_is_a_cycle() -> None:
    lines = [f"{row // 16},{row % 16},{value}" for row, value in enumerate(VALUES)]
    with pytest.raises(
        BadInput, match="column 't': 3 series one below the other: '0' .line 18. follows '15'.*where=id=0"
    ):
        read_table("\n".join(["id,t,x", *lines]), TaskSpec(name="series"))
    hours = [f"{row % 24},{value}" for row, value in enumerate(VALUES)]
    assert read_table("\n".join(["hour,x", *hours]), TaskSpec(name="series")).names == ("hour", "x")


@pytest.mark.parametrize("stamps", [np.arange(N) / 30, np.cumsum(np.random.default_rng(2).exponential(1, N))])
def test_a_column_of_time_is_the_index_whatever_its_steps(stamps: np.ndarray) -> None:
    found = table([f"{stamp:.3f}" for stamp in stamps], "time")
    assert found.names == ("x",) and found.row_labels is not None and found.spacing is not None
    assert found.spacing.unit == ("count" if stamps[1] == 1 / 30 else "rows")


@pytest.mark.parametrize("labels", [[str(3 * i + (i % 5 == 0)) for i in range(N)], [str(i) for i in range(7, 7 + N)]])
def test_the_index_of_a_filtered_frame_is_none_of_its_columns(labels: list[str]) -> None:
    assert table(labels, "").names == ("x",)


def test_a_category_is_no_panel() -> None:
    """Days with a season, or with the day of the week, are one series."""
    seasons = ["winter"] * 24 + ["spring"] * 24
    for cells in (seasons, ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"] * 6 + ["Mon"] * 6):
        found = panel(cells, days())
        assert isinstance(found, Table) and found.notices == ()


# Gaps, repetitions, clocks


def notices(labels: list[str], **fields: str) -> list[tuple[str, str]]:
    return [(notice.kind, notice.text) for notice in table(labels, **fields).notices]


def test_gaps_and_repetitions_are_noticed() -> None:
    labels = days()
    [(kind, text)] = notices(labels[:10] + labels[13:])
    assert kind == "gap"
    assert text.startswith(
        "has gaps: 3 rows are missing at 1 places, first between '2021-01-14' (line 11) and '2021-01-18'"
    )
    [(kind, text)] = notices([*labels[:10], *labels[9:]])
    assert (kind, text) == ("duplicate", "has 1 repeated labels, first between '2021-01-14' (line 11) and '2021-01-14'")
    assert [kind for kind, _ in notices([month for month in months() if month != "2018-05"])] == ["gap"]


def test_a_clock_that_is_put_back_is_noticed() -> None:
    labels = hours(24, "2021-10-30T12")
    local = labels[:16] + labels[15:-1]  # 03:00 comes twice
    assert [kind for kind, _ in notices(local)] == ["duplicate"]
    quarters = [f"2021-10-31 02:{minute:02}" for minute in range(0, 60, 15)]
    twice = [f"2021-10-31 01:{minute:02}" for minute in range(0, 60, 15)] + quarters + quarters + ["2021-10-31 03:00"]
    [(_, text)] = [one for one in notices(twice) if one[0] == "zone"]
    assert text.startswith("is put back 1 times by an hour or less, first between '2021-10-31 02:45' (line 9)")


def test_a_change_of_the_zone_is_noticed_and_compared_in_utc() -> None:
    summer = [f"2021-10-31T{hour:02}:00+02:00" for hour in range(3)]
    winter = [f"2021-10-31T{hour:02}:00+01:00" for hour in range(2, 12)]
    found = table(summer + winter)
    [notice] = found.notices
    assert notice.kind == "zone" and notice.text.startswith(
        "changes its zone 1 times, first between '2021-10-31T02:00+02:00'"
    )
    assert following(found) == ["2021-10-31T12:00+01:00", "2021-10-31T13:00+01:00"]


def test_dropped_rows_leave_the_index_too() -> None:
    lines = [f"{day},{'NA' if i == 5 else value}" for i, (day, value) in enumerate(zip(days(), VALUES, strict=True))]
    found = read_table("\n".join(["date,x", *lines]), TaskSpec(name="series", missing="drop"))
    assert found.row_labels is not None and len(found.row_labels.labels) == N - 1
    assert "2021-01-10" not in found.row_labels.labels


def test_the_last_day_of_a_month_stays_the_last() -> None:
    index = RowIndex("", float(np.datetime64("2021-01-31", "us").astype(int)), "months", 1, "{Y}-{m:02}-{d:02}")
    assert continue_index(index, 3) == ["2021-02-28", "2021-03-31", "2021-04-30"]


# Codes for missing values


def suspicions(values: np.ndarray, digits: int = 2) -> list[str]:
    cells = [f"{value:.{digits}f}" if abs(value) < 1e15 else f"{value:g}" for value in values]
    lines_N = np.arange(2, len(values) + 2)
    found = find_suspicions(Numbers(("x",), values[:, None].astype(float), lines_N, [cells]))
    return [notice.text for notice in found]


def healthy() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    normal, walk = rng.normal(size=600), np.cumsum(rng.normal(size=600))
    return {
        "noise": normal,
        "walk": walk,
        "temperature": 13 + 2 * np.sin(np.arange(600) / 9) + normal / 3,
        "pressure": 1013 + 5 * normal,
        "trend": 100 + np.arange(600) + 3 * normal,
        "prices": 30 * np.exp(walk / 50),
        "rain": np.where(rng.random(600) < 0.8, 0, rng.exponential(4, 600)),
        "rare rain": np.where(rng.random(600) < 0.98, 0, rng.exponential(4, 600)),
        "counts": rng.poisson(3, 600),
        "events": (rng.random(600) < 0.02).astype(float),
        "heavy tails": rng.standard_t(2, 600),
        "one outlier": np.where(np.arange(600) == 100, 25.37, normal),
        "volume": np.exp(rng.normal(12, 1, 600)),
        "999 not far from a wide column": np.where(np.arange(600) == 9, 999, rng.uniform(0, 800, 600)),
        "two signs": np.sign(normal) * (5 + rng.random(600)) * (np.arange(600) != 7),
        "around 999": 990 + 9 * rng.integers(0, 3, 600) + 0.0,
        "to 9999": rng.integers(0, 10_000, 600).astype(float),
        "negative, -99 within": rng.normal(-95, 3, 600).round(),
        "saturates": np.minimum(rng.normal(7, 3, 600), 10),
        "power that is off at night": np.where(np.arange(600) % 24 < 8, 0, 500 + 30 * normal),
        "few values": rng.choice([1.0, 2.0, 5.0], 600),
        "almost constant": np.where(np.arange(600) % 97 == 5, 1.01, 1.0),
    }


HEALTHY = healthy()


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_columns_raise_no_suspicion(name: str) -> None:
    assert suspicions(HEALTHY[name]) == []


CODED = [
    *[("temperature", code) for code in (-9999, -999, -99.9, 999, 9999, 99999, 1e20, -1e30, 0, -8888, 32767)],
    *[("pressure", code) for code in (-9999, -999, 9999, 99999, 1e20, 0)],
    *[("rain", code) for code in (-9999, -999, -99, 9999, 1e20)],
    *[("trend", code) for code in (-9999, 99999, 1e20)],
    *[("counts", code) for code in (-9999, -99, 9999)],
    *[("prices", code) for code in (-999, 9999)],
]


@pytest.mark.parametrize(("name", "code"), CODED)
@pytest.mark.parametrize("times", [1, 3])
def test_a_code_for_a_missing_value_is_found_with_its_lines(name: str, code: float, times: int) -> None:
    values = HEALTHY[name].astype(float).copy()
    rows = [77, 78, 301][:times]
    values[rows] = code
    [text] = suspicions(values)
    shown = f"{code:.2f}" if abs(code) < 1e15 else f"{code:g}"
    count = f"{times} times (lines 79, 80, 303)" if times > 1 else "once (line 79)"
    assert text.startswith(f"holds {shown} {count}, far from all other values")
    assert f"--set task.missing_values={shown} --set task.missing=interpolate" in text


def test_several_codes_in_one_column_do_not_hide_each_other() -> None:
    values = HEALTHY["temperature"].copy()
    values[[5, 50]], values[[60, 61, 62]] = 9999, -9999
    assert [text.split()[1] for text in suspicions(values)] == ["9999.00", "-9999.00"]


def test_a_repeated_number_unlike_the_others_is_found() -> None:
    values = HEALTHY["temperature"].copy()
    values[[5, 50, 51]] = 555
    [text] = suspicions(values)
    assert text.startswith("holds 555.00 3 times")
