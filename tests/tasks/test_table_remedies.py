"""Refusals of tables whose options read the file; dates in several columns; codes judged by the gap beside them."""

import re
import shlex

import numpy as np
import pytest
from read_tables import refusal, table

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks.series import series_task
from rnnjax.tasks.tables.missing import Numbers
from rnnjax.tasks.tables.notation import Notation, parse_number
from rnnjax.tasks.tables.spacing import continue_index
from rnnjax.tasks.tables.suspicions import find_suspicions

N = 60
RNG = np.random.default_rng(5)
X = (20 + 5 * np.sin(np.arange(N) / 6) + RNG.normal(size=N)).round(2)
DAYS = [str(np.datetime64("2021-01-05") + np.timedelta64(day, "D")) for day in range(N)]
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def text(head: str, labels: list[str] | None = None, values: list[str] | None = None, sign: str = ",") -> str:
    cells = values or [f"{x:.2f}" for x in X]
    rows = [sign.join(one) for one in zip(labels, cells, strict=True)] if labels else cells
    return "\n".join([*([head] if head else []), *rows]) + "\n"


def options(message: str) -> list[tuple[str, str]]:
    """The settings that a message names, as a shell reads them."""
    words = shlex.split(re.sub(r"[();,]( |$)", r" \1", message).replace("'t ", "t ").replace("' ", "' "))
    found = [words[place + 1] for place, word in enumerate(words[:-1]) if word == "--set"]
    return [(one.removeprefix("task.").partition("=")[0], one.partition("=")[2].rstrip(",;)")) for one in found]


# Lines that are no rows

LINES = {  # name -> text, part of the message, the lines that its option leaves out, the values that remain
    "three comments": ("# a\n# b\n# c\n" + text("d,x", DAYS), "the 3 comments", "1-3", N),
    "comments here and there": (
        text("# a\nd,x", DAYS).replace(DAYS[9], "# moved\n" + DAYS[9]),
        "got a comment '# a'",
        "1,12",
        N,
    ),
    "comments as in an ini file": ("; by X\n; unit C\n" + text("d,x", DAYS), "the 2 comments", "1-2", N),
    "titles and empty lines": (
        '"Source","World",\n\n"Updated","2023-05-10",\n\n' + text("d,x", DAYS).replace("\n", ",\n"),
        "got 5 lines above the numbers",
        "1-4",
        N,
    ),
    "two titles": ("Station 12\nmade by hand; in May\n" + text("d,x", DAYS), "read the names in line 3", "1-2", N),
    "three rows of names": (
        "Price,Close\nTicker,AAPL\nDate,\n" + text("", DAYS),
        "keep the names in line 1",
        "2-3",
        N,
    ),
    "names again": (
        text("d,x", DAYS).replace(DAYS[20], "d,x\n" + DAYS[20]).replace(DAYS[40], "d,x\n" + DAYS[40]),
        "got the names of the columns again (of line 1)",
        "22,43",
        N,
    ),
    "remarks between": (
        text("d,x", DAYS).replace(DAYS[20], "moved\n" + DAYS[20]).replace(DAYS[40], "cleaned\n" + DAYS[40]),
        "line 22: got 1 cells; expected 2",
        "22,43",
        N,
    ),
    "a total": (text("d,x", DAYS) + "Total,1203.4\n", "line 62, column 'd': got 'Total' where the others", "62", N),
    "a mean and a sum": (text("d,x", DAYS) + "Mean,20.1\nSum,1203.4\n", "got 'Mean' where the others", "62-63", N),
    "a total of few rows": (text("d,x", DAYS[:12], [f"{x}" for x in X[:12]]) + "Total,1203.4\n", "'Total'", "14", 12),
    "a total below years": (
        text("year,x", [str(1950 + i) for i in range(N)]) + "All years,1203.4\n",
        "got 'All years' where the others have numbers of rows",
        "62",
        N,
    ),
    "a total without a label": (text("d,x", DAYS) + ",1203.4\n", "got an empty cell where the others", "62", N),
    "a source with a year": (text("d,x", DAYS) + "Source: Office 2023,\n", "got 'Source: Office 2023'", "62", N),
    "a total below months": (
        text("year,month,x", [f"{2000 + i // 12},{i % 12 + 1}" for i in range(N)]) + "Total,,1203.4\n",
        "column 'year': got 'Total'; expected a part of a date",
        "62",
        N,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LINES)
def test_all_lines_that_are_no_rows_are_named_at_once(name: str) -> None:
    content, part, lines, count = LINES[name]
    message = refusal(content)
    assert part in message and f"--set task.skip_lines={lines}" in message
    found = table(content, skip_lines=lines)
    assert found.values_ND[:, -1].tolist() == X[:count].tolist()


def test_lines_that_are_left_out_already_stay_out() -> None:
    message = refusal("title\n" + text("d,x", DAYS) + "Total,1203.4\n", skip_lines="1")
    assert "--set task.skip_lines=1,63" in message


def test_a_comment_may_hold_the_names() -> None:
    content = "# made by hand\n#d,x\n" + text("", DAYS)
    assert "if line 2 holds the names, --set task.skip_lines=1 --set task.header=yes" in refusal(content)
    found = table(content, skip_lines="1", header="yes")
    assert found.names == ("x",) and found.row_labels is not None and found.row_labels.name == "d"


@pytest.mark.parametrize(
    "content",
    [
        text("d,x", DAYS).replace(DAYS[50], "2021-02x24"),  # a typing mistake
        text("d,x", [f"{int(day[8:])} {MONTHS[int(day[5:7]) - 1]} {day[:4]}" for day in DAYS]),
        text("d;x", DAYS, sign=";"),
        text("x"),
        text("", DAYS),
    ],
)
def test_rows_are_no_remarks(content: str) -> None:
    assert table(content).values_ND[:, 0].tolist() == X.tolist()


# Dates in several columns


def parts(step: str, count: int = N) -> list[str]:
    moments = np.datetime64("2019-11-28T00", "h") + np.arange(count) * np.timedelta64(1, step).astype("m8[h]")
    return [str(moment) for moment in moments]


def joined(template: str, moments: list[str]) -> list[str]:
    fields = [
        {"Y": one[:4], "m": int(one[5:7]), "d": int(one[8:10]), "H": int(one[11:13]), "b": MONTHS[int(one[5:7]) - 1],
         "j": int((np.datetime64(one[:10]) - np.datetime64(one[:4] + "-01-01")).astype(int)) + 1}
        for one in moments
    ]  # fmt: skip
    return [template.format(**one, y=one["Y"][2:]) for one in fields]


MONTHLY = [str(np.datetime64("2017-03") + np.timedelta64(month, "M")) + "-01T00" for month in range(N)]
PARTS = {  # name -> head, labels, names of the index, last label, the label that follows
    "year and month": ("year,month,x", joined("{Y},{m}", MONTHLY), "year month", "2022-02", "2022-03"),
    "names of months": ("Yr,Mon,x", joined("{y},{b}", MONTHLY), "Yr Mon", "2022-02", "2022-03"),
    "days": ("Year,Month,Day,x", joined("{Y},{m},{d}", parts("D")), "Year Month Day", "2020-01-26", "2020-01-27"),
    "day of the year": ("YEAR,DOY,x", joined("{Y},{j}", parts("D")), "YEAR DOY", "2020-01-26", "2020-01-27"),
    "hours": (
        "year,month,day,hour,x",
        joined("{Y},{m},{d},{H}", parts("h")),
        "year month day hour",
        "2019-11-30 11:00",
        "2019-11-30 12:00",
    ),
    "quarters": (
        "year,quarter,x",
        [f"{2000 + i // 4},{i % 4 + 1}" for i in range(N)],
        "year quarter",
        "2014Q4",
        "2015Q1",
    ),
    "a number of the row too": (
        "No,year,month,day,x",
        [f"{i + 1},{label}" for i, label in enumerate(joined("{Y},{m},{d}", parts("D")))],
        "year month day",
        "2020-01-26",
        "2020-01-27",
    ),
    "a clock too": (
        "year,month,day,time,x",
        joined("{Y},{m},{d},{H:02}:00", parts("h")),
        "year month day time",
        "2019-11-30 11:00",
        "2019-11-30 12:00",
    ),
}


@pytest.mark.parametrize("name", PARTS)
def test_parts_of_a_date_are_the_index_together(name: str) -> None:
    head, labels, index, last, following = PARTS[name]
    found = table(text(head, labels))
    assert found.names == ("x",) and found.values_ND[:, 0].tolist() == X.tolist()
    assert found.row_labels is not None and (found.row_labels.name, found.row_labels.labels[-1]) == (index, last)
    position = found.index_at(N - 1)
    assert position is not None and continue_index(position, 1) == [following]
    assert {notice.kind for notice in found.notices} == {"index"}
    turned = text(head, labels[::-1])
    if not name.startswith("a number"):
        assert f"column {index!r}: the dates run backwards, from {last!r} (line 2)" in refusal(turned)
        assert table(turned, order="reverse").values_ND[:, 0].tolist() == X[::-1].tolist()


def test_gaps_and_repetitions_of_dates_in_parts_are_noticed() -> None:
    labels = joined("{Y},{m}", MONTHLY)
    for changed, kind in (
        ([*labels[:5], *labels[7:], "2022,3", "2022,4"], "gap"),
        ([*labels[:5], *labels[4:-1]], "duplicate"),
    ):
        found = table(text("year,month,x", changed))
        assert kind in [notice.kind for notice in found.notices]


def test_parts_of_a_date_can_be_trained_on_or_chosen() -> None:
    content = text("year,month,x", joined("{Y},{m}", MONTHLY))
    assert table(content, columns="year,month,x").names == ("year", "month", "x")
    assert table(content, index="year,month").names == ("x",)
    assert "got 'year,x'; expected one column, or parts of a date" in refusal(content, index="year,x")


def test_what_may_be_parts_of_a_date_is_asked() -> None:
    content = text("year,month,x", [f"{i // 12},{i % 12 + 1}" for i in range(N)])
    message = refusal(content)
    assert "columns year, month may be parts of a date" in message
    assert table(content, columns="-year,-month").names == ("x",)
    assert table(content, columns="year,month,x").names == ("year", "month", "x")


@pytest.mark.parametrize("head", ["year,size,x", "month,size,x", "hour,minute,x", "day,hour,x"])
def test_columns_without_a_year_and_a_day_are_no_date(head: str) -> None:
    names = table(text(head, [f"{2000 + i * i % 7},{i % 5}" for i in range(N)])).names
    assert names == tuple(head.split(","))


def test_a_column_that_numbers_the_rows_beside_dates_is_not_trained_on() -> None:
    for head in ("No,d,x", ",d,x"):
        found = table(text(head, [f"{i + 1},{day}" for i, day in enumerate(DAYS)]))
        assert found.names == ("x",) and found.row_labels is not None and found.row_labels.name == "d"
    assert table(text("size,d,x", [f"{i % 9},{day}" for i, day in enumerate(DAYS)])).names == ("size", "x")


def test_the_column_that_chooses_the_rows_is_not_trained_on() -> None:
    content = text("id,d,x", [f"{i % 2},{DAYS[i // 2]}" for i in range(N)])
    assert table(content, where="id=1").names == ("x",)
    assert table(content, where="id=1", columns="id,x").names == ("id", "x")


# Numbers with signs around them


def signed(negative: str, positive: str) -> list[str]:
    return [(negative if i % 3 else positive).format(f"{x:.2f}") for i, x in enumerate(X)]


SIGNED = np.where(np.arange(N) % 3, -X, X)


def test_parentheses_are_asked_about() -> None:
    for negative, positive, more in (("({})", "{}", ""), ("(${})", "${}", "$ ")):
        content = text("d,x", DAYS, signed(negative, positive))
        message = refusal(content)
        if not more:
            assert f"which may be -{X[1]}, as in bookkeeping (--set 'task.units=()'), or {X[1]} with a mark" in message
        assert table(content, units=f"{more}()").values_ND[:, 0].tolist() == SIGNED.tolist()
        assert table(content, units=f"{more}( )").values_ND[:, 0].tolist() == X.tolist()
        assert "interpolate" not in message


def test_a_minus_behind_a_number_is_one() -> None:
    found = table(text("d;x", DAYS, [cell.replace(".", ",") for cell in signed("{}-", "{}")], ";"))
    assert found.values_ND[:, 0].tolist() == SIGNED.tolist()
    [notice] = found.notices
    assert notice.text.startswith("has the minus behind 40 of its numbers, read as negative (lines 3, 4, 6")
    assert "task.units: got '-', which is a part of numbers" in refusal(text("x"), units="kWh -")
    assert table(text("d,x", DAYS)).notices == ()


def test_all_marks_of_a_column_are_named() -> None:
    cells = [f"{x:.2f}{' E' if i % 20 == 7 else '*' if i % 20 == 9 else ''}" for i, x in enumerate(X)]
    message = refusal(text("d,x", DAYS, cells))
    assert "if 'E', '*' are marks beside numbers of one unit, --set 'task.units=E *'" in message
    assert "interpolate" not in message
    assert table(text("d,x", DAYS, cells), units="E *").values_ND[:, 0].tolist() == X.tolist()


@pytest.mark.parametrize(
    ("cell", "settings"),
    [
        ("$12,779.10", "--set 'task.units=$' --set task.thousands=comma"),
        ("12,779.10 EUR", "--set task.units=EUR --set task.thousands=comma"),
        ("1,11,779.5", "--set task.thousands=comma"),
        ("20.1%", "--set task.units=%"),
    ],
)
def test_all_options_that_a_number_needs_are_named(cell: str, settings: str) -> None:
    content = text("d,x", DAYS, [f'"{cell}"'] * N)
    message = refusal(content)
    assert settings in message
    words = [one.strip("'").removeprefix("task.").partition("=") for one in settings.split("--set ")[1:]]
    fields = {key.strip(): value.strip().strip("'") for key, _, value in words}
    expected = float(re.sub(r"[^\d.]", "", cell))
    assert set(table(content, **fields).values_ND[:, 0].tolist()) == {expected}


@pytest.mark.parametrize(
    ("cell", "value"),
    [("12,34,567", 1234567), ("1,00,000.5", 100000.5), ("1,234,567", 1234567), ("1,2,345", None), ("1,23,45", None)],
)
def test_lakhs_are_read_where_commas_stand_between_thousands(cell: str, value: float | None) -> None:
    assert parse_number(cell, Notation(thousands=",")) == value


def test_months_of_other_languages_are_labels() -> None:
    content = text("jour;x", [f"{i % 28 + 1} {('janv.', 'févr.', 'août')[i % 3]} 2021" for i in range(N)], sign=";")
    assert "(a date with a foreign month); expected a number; if it labels the rows, --set task.index=jour" in refusal(
        content
    )
    assert table(content, index="jour").names == ("x",)


def test_a_word_beside_declared_ones_is_declared_too() -> None:
    content = text("d,x", DAYS).replace(f"{X[4]:.2f}", "Bad", 1)
    assert "--set task.missing_values=-9999,Bad" in refusal(content, missing_values="-9999")


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (list(MONTHS), "months"),
        ([str(hour) for hour in range(24)], "hours"),
        ([f"H{hour:02}" for hour in range(1, 25)], "hours"),
        ([str(year) for year in range(1990, 1999)], "years"),
        (["Q1", "Q2", "Q3", "Q4"], "quarters"),
        (["a1", "a2", "a3", "a4"], ""),
        (["1990", "y1991", "1992", "y1993", "1994"], ""),
        (["Jan", "Feb", "May"], ""),
    ],
)
def test_a_wide_table_is_noticed(names: list[str], what: str) -> None:
    rows = [",".join([day, *[f"{RNG.normal():.3f}" for _ in names]]) for day in DAYS]
    texts = [notice.text for notice in table("\n".join([f"d,{','.join(names)}", *rows])).notices]
    shown = f"the columns {names[0]!r} to {names[-1]!r} are {what}: the table is wide"
    assert any(one.startswith(shown) for one in texts) if what else texts == []


# Values


def suspicions(values: np.ndarray, cells: list[str] | None = None) -> list[str]:
    written = cells or [f"{value:g}" for value in values]
    lines_N = np.arange(2, len(values) + 2)
    return [one.text for one in find_suspicions(Numbers(("x",), values[:, None].astype(float), lines_N, [written]))]


def with_code(values: np.ndarray, code: float, share: float = 0.01) -> np.ndarray:
    coded = values.astype(float).copy()
    coded[5 :: max(round(1 / share), 1)] = code
    return coded


WIDE = {  # columns in which 0 lies less than 8 robust deviations from the median
    "blood pressure": (80 + 20 * np.sin(np.arange(400) / 6) + RNG.normal(size=400) * 2).round(),
    "glucose": RNG.normal(121, 22, 400).clip(50, 190).round(),
    "counts": (200 + 50 * np.sin(np.arange(400) / 6) + RNG.normal(size=400) * 5).round(),
}


@pytest.mark.parametrize("name", WIDE)
@pytest.mark.parametrize("code", [0, -1, -9, -99, -999, 999])
def test_a_code_apart_from_a_wide_column_is_found(name: str, code: float) -> None:
    assert suspicions(WIDE[name]) == []
    [found] = suspicions(with_code(WIDE[name], code))
    assert found.startswith(f"holds {code} 4 times (lines 7, 107, 207, 307), far from all other values")


def test_a_known_code_beyond_a_gap_is_found_beside_values_without_a_middle() -> None:
    values = RNG.permutation(np.arange(400.0) * 1.5).round()
    assert suspicions(values) == [] and suspicions(with_code(values, 700)) == []
    [found] = suspicions(with_code(values, 999))
    assert found.startswith("holds 999 4 times")


@pytest.mark.parametrize("share", [0.25, 0.34, 0.5])
def test_a_known_code_is_found_however_frequent(share: float) -> None:
    for code in (-8888, -999, 9999):
        [found] = suspicions(with_code(WIDE["counts"], code, share))
        assert found.startswith(f"holds {code} ")


def falling(values: np.ndarray) -> np.ndarray:
    return np.maximum(values, 0).round(1)


HEALTHY = {
    "rain": np.where(RNG.random(400) < 0.6, 0, RNG.gamma(0.7, 6, 400)).round(1),
    "Poisson": RNG.poisson(3, 400),
    "Poisson, many": RNG.poisson(30, 400),
    "a change of -1, 0 or 1": RNG.integers(-1, 2, 400),
    "a state": (RNG.random(400) < 0.99).astype(float),
    "three states": RNG.choice([0.0, 1.0, 2.0], 400, p=[0.02, 0.49, 0.49]),
    "photovoltaics": (np.maximum(0, np.sin((np.arange(400) % 24 - 6) * np.pi / 12)) * 5).round(2),
    "falls to 0": falling(100 - 0.3 * np.arange(400)),
    "decays to 0": (100 * 0.97 ** np.arange(400)).round(1),
    "falls in few steps": falling(100 - 8.0 * np.arange(13)),
    "heavy tails": np.exp(RNG.normal(0, 1.5, 400)).round(2),
    "whole heavy tails": np.floor(RNG.pareto(1.2, 400) * 10),
    "temperature around 0": RNG.normal(0, 5, 400).round(),
    "a flood": np.maximum(400 - 60 * abs(np.arange(400) - 200.0), 30 + RNG.normal(size=400)),
    "thousands": 1000.0 * RNG.integers(0, 60, 400),
    "closed on some days": np.where(RNG.random(400) < 0.12, 0, RNG.poisson(20, 400)),
    "-1 among small counts": np.where(np.arange(400) % 130 == 7, -1, RNG.integers(0, 9, 400)),
}  # fmt: skip


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_column_raises_no_suspicion(name: str) -> None:
    assert suspicions(HEALTHY[name]) == []


def task_refusal(content: str, **fields: object) -> str:
    with pytest.raises(BadInput) as refused:
        series_task(TaskSpec(name="series", path="x.csv", **fields), content)  # type: ignore[arg-type]
    return str(refused.value)


@pytest.mark.parametrize("code", ["1e20", "9.96921e+36", "-1e30"])
def test_a_number_too_large_for_float32_is_named_with_its_lines(code: str) -> None:
    cells = [code if i in (30, 31) else f"{x:.2f}" for i, x in enumerate(X)]
    content = text("d,x", DAYS, cells)
    message = task_refusal(content)
    assert message.startswith(f"task.path: line 32, column 'x': got {float(code):g}, 2 times (lines 32, 33); expected")
    [(_, word), *_] = [one for one in options(message) if one[0] == "missing_values"]
    found = series_task(TaskSpec(name="series", missing_values=word, missing="interpolate"), content)
    assert np.abs(np.array(found.target_mean_O)).max() < 30


def test_a_code_with_a_decimal_comma_is_declared_as_it_stands() -> None:
    cells = [("-99,9" if i in (30, 31) else f"{x:.2f}".replace(".", ",")) for i, x in enumerate(X)]
    content = text("d;x", DAYS, cells, ";")
    [notice] = table(content).notices
    assert """--set 'task.missing_values="-99,9"'""" in notice.text
    for word in ('"-99,9"', "-99.9"):
        found = table(content, missing_values=word, missing="interpolate")
        assert found.values_ND.min() > 0


def test_a_column_that_does_not_vary_can_be_left_out() -> None:
    content = text("d,x,flag,unit", [f"{day},{x:.2f}" for day, x in zip(DAYS, X, strict=True)], ["1,2"] * N)
    message = task_refusal(content)
    assert message.startswith("task.columns: got 'flag' (as 'unit'), which is 1 in all")
    assert message.endswith("leave them out with --set task.columns=-flag,-unit")
    assert task_refusal(content, columns="x,flag").endswith("leave it out with --set task.columns=x")


@pytest.mark.parametrize(("rows", "share"), [(9, 0.2), (6, 0.25)])
def test_a_short_table_names_a_share_that_works(rows: int, share: float) -> None:
    content = text("d,x", DAYS[:rows], [f"{x:.2f}" for x in X[:rows]])
    assert task_refusal(content).endswith(f"use --set task.validation={share}")
    assert len(series_task(TaskSpec(name="series", validation=share), content).validation_N) == 2
