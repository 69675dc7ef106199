"""Tables as pandas, R, Excel and loggers write them; what can be read in two ways; what is no table of numbers."""

import codecs
import csv
import io
import string
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from read_tables import refusal, table

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.studies.datasets import read_source_text
from rnnjax.tasks.series import series_task
from rnnjax.tasks.tables.header import read_names
from rnnjax.tasks.tables.layout import read_sheet
from rnnjax.tasks.tables.notation import MISSING_WORDS, Notation, describe_look, is_missing, parse_number
from rnnjax.tasks.tables.read import Table

N = 40
VALUES = np.cumsum(np.random.default_rng(0).normal(size=(N, 2)), axis=0).round(2) + 20.05
DAYS = [str(np.datetime64("2021-01-05") + np.timedelta64(day, "D")) for day in range(N)]


def comma(value: float) -> str:
    return f"{value:.2f}".replace(".", ",")


def rows(line: str, header: str = "", end: str = "\n") -> str:
    """Lines from a template with the fields i, n (from 1), day, dmy, x, y (with points) and X, Y (with commas)."""
    lines = [header] if header else []
    for i, (x, y) in enumerate(VALUES):
        year, month, day = DAYS[i].split("-")
        fields = {"i": i, "n": i + 1, "day": DAYS[i], "dmy": f"{day}.{month}.{year}", "x": f"{x:.2f}", "y": f"{y:.2f}"}
        lines.append(line.format(**fields, X=comma(x), Y=comma(y)))
    return end.join(lines) + end


# What programs write by default

GOOD = {  # name -> text, names, name of the index (None: no index)
    "pandas to_csv": (rows("{i},{x},{y}", ",a,b"), ("a", "b"), ""),
    "pandas without an index": (rows("{x},{y}", "a,b"), ("a", "b"), None),
    "pandas of an array": (rows("{i},{x},{y}", ",0,1"), ("0", "1"), ""),
    "pandas with an index of dates": (rows("{day},{x},{y}", "date,a,b"), ("a", "b"), "date"),
    "pandas with an index of times": (rows("{day} 06:00:00+01:00,{x},{y}", ",a,b"), ("a", "b"), ""),
    "R write.csv": (rows('"{n}",{x},{y}', '"","a","b"'), ("a", "b"), ""),
    "R write.csv2": (rows('"{n}";{X};{Y}', '"";"a";"b"'), ("a", "b"), ""),
    "R write.table": (rows('"{n}" {x} {y}', '"a" "b"'), ("a", "b"), ""),
    "R write.table, names of rows": (rows('"row {i}" {x} {y}', '"a" "b c"'), ("a", "b c"), ""),
    "R write.table, dates": (rows('"{day}" {x} {y}', '"a" "b"'), ("a", "b"), ""),
    "R write.table with tabs": (rows('"{n}"\t{x}\t{y}', '"a"\t"b"'), ("a", "b"), ""),
    "Excel in German": (rows("{dmy};{X};{Y}", "Datum;a;b", "\r\n"), ("a", "b"), "Datum"),
    "Excel with sep": ("sep=;\r\n" + rows("{X};{Y}", "a;b", "\r\n"), ("a", "b"), None),
    "Excel, empty rows at the end": (rows("{X};{Y}", "a;b") + ";\n;\n", ("a", "b"), None),
    "Excel as text": (rows("{X}\t{Y}", "a\tb", "\r\n"), ("a", "b"), None),
    "quoted comma in a comma file": (rows('"{X}","{Y}"', "a,b"), ("a", "b"), None),
    "numpy savetxt": (rows("{x}e+00 {y}e+00"), ("1", "2"), None),
    "fixed width": (rows("  {x}   {y}", "      a       b"), ("a", "b"), None),
    "a delimiter at the end": (rows("{x},{y},", "a,b,"), ("a", "b"), None),
    "a delimiter at the end below the names": (rows("{x};{y};", "a;b"), ("a", "b"), None),
    "blanks around cells": (rows(" {x} ;  {y} ", " a ; b "), ("a", "b"), None),
    "bars": (rows("{x}|{y}", "a|b"), ("a", "b"), None),
    "old Mac line ends": (rows("{x},{y}", "a,b", "\r"), ("a", "b"), None),
    "no names, dates": (rows("{day},{x},{y}"), ("2", "3"), "1"),
    "a column of years": (
        rows("{n}", "").replace("\n", "") and rows("19{n:02},{x},{y}", "Year,a,b"),
        ("a", "b"),
        "Year",
    ),
    "date and time of day": (rows("{day};12:00;{X};{Y}", "Date;Time;a;b"), ("a", "b"), "Date Time"),
    "a minus that is no hyphen": (rows("\u2212{x},{y}", "a,b"), ("a", "b"), None),
    "epoch": (rows("16000{n:02}000,{x},{y}", "timestamp,a,b"), ("a", "b"), "timestamp"),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_programs_write_is_read(name: str) -> None:
    text, names, index = GOOD[name]
    found = table(text)
    assert found.names == names
    np.testing.assert_allclose(np.abs(found.values_ND), VALUES, rtol=1e-12, atol=0.005)
    assert (None if found.row_labels is None else found.row_labels.name) == index
    assert [notice for notice in found.notices if notice.kind != "index"] == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"])
def test_a_file_is_decoded_by_its_byte_order_mark(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "level.csv"
    mark = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}.get(encoding, b"")
    path.write_bytes(mark + rows("{x};{y}", "höhe;b", "\r\n").encode(encoding))
    source = read_source_text(TaskSpec(name="series", path=str(path)), 10**9)
    assert source is not None and table(source.text).names == ("höhe", "b")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            b"PK\x03\x04" + b"\0" * 50,
            "is an Excel workbook or another zip archive; expected a CSV file; save it as such",
        ),
        (b"PAR1" + b"\0" * 50, "is a Parquet file; expected a CSV file"),
        (b"\x1f\x8b\x08" + b"\0" * 50, "is a gzip archive; expected a CSV file"),
        (
            "a;b\n1;2\n".encode("utf-16-le"),
            "looks like UTF-16 without a byte-order mark; use --set task.encoding=utf-16-le",
        ),
        ("a;b\n1;2\n".encode("utf-16-be"), "use --set task.encoding=utf-16-be"),
        ("höhe\n1\n".encode("latin-1"), "invalid UTF-8 at byte 1 (0xf6); use --set task.encoding=latin-1"),
        ("\u20ac\n1\n".encode("cp1252"), "invalid UTF-8 at byte 0 (0x80); use --set task.encoding=cp1252"),
    ],
)
def test_a_file_that_is_no_text_is_named(raw: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "level.csv"
    path.write_bytes(raw)
    with pytest.raises(BadInput) as refused:
        read_source_text(TaskSpec(name="series", path=str(path)), 10**9)
    assert message in str(refused.value)


def test_a_table_may_begin_with_the_name_of_a_format(tmp_path: Path) -> None:
    path = tmp_path / "radiation.csv"
    path.write_text("PAR1,BZh\n1,2\n")
    source = read_source_text(TaskSpec(name="series", path=str(path)), 10**9)
    assert source is not None and table(source.text).names == ("PAR1", "BZh")


# Columns


@pytest.mark.parametrize(
    ("text", "columns", "names"),
    [
        (rows("{x},,{y}", "a,,b"), "b", ("b",)),
        (rows("{x},{i},{y}", "a,b,b"), "a", ("a",)),
        (rows('"x, {i}",{y}', '"name, first",b'), "b", ("b",)),
        (rows("{x},{y}", '"a, b",c'), '"a, b",c', ("a, b", "c")),
        (rows("{x},{y}", '"a, b",c'), "a, b", ("a, b",)),
        (rows("text,{x},{y}", "note,a,b"), "-note", ("a", "b")),
        (rows("text,more,{x},{y}", "note,remark,a,b"), "-note,-remark", ("a", "b")),
        (rows("text,{x},{y}", "note,-a,b"), "-a", ("-a",)),
        (rows("{day},{x},{y}", "date,a,b"), "-b", ("a",)),
        (rows("{x},{y}", "a,2021"), "2021", ("2021",)),
        (rows("{i},{x}", "id,a"), "id,a", ("id", "a")),
    ],
)
def test_what_is_not_chosen_is_not_judged(text: str, columns: str, names: tuple[str, ...]) -> None:
    assert table(text, columns=columns).names == names


@pytest.mark.parametrize(
    ("text", "fields", "message"),
    [
        (
            rows("{x},{i},{y}", "a,b,b"),
            {"columns": "b"},
            "task.columns: got 'b', the name of 2 columns; expected that of one",
        ),
        (
            rows("{x},{y}", "a,"),
            {},
            "got no name for column 2; expected a name, or numbers only; choose columns with --set task.columns=a",
        ),
        (
            rows("{x},word{i}", "a,my note"),
            {},
            "column 'my note': got 'word0'; expected a number; leave the column out with --set 'task.columns=-my note'",
        ),
        (rows("{day}", "date"), {}, "got a table with an index only"),
        (rows("{x},{y}", "a,b"), {"index": "c"}, "task.index: got 'c'; expected one of: a, b"),
        (rows("{x},{y}", "a,b"), {"where": "b"}, "task.where: got 'b'; expected column=value"),
        (rows("{x},{y}", "a,b"), {"where": "b=7"}, "task.where: got '7', which column 'b' never holds"),
        (rows("{x},{y}", "a,b"), {"order": "sort"}, "task.order: got 'sort' for a table without dates"),
        (rows("{x},{y}", "a,b"), {"skip_lines": "x"}, "task.skip_lines: got 'x'; expected numbers of lines"),
    ],
)
def test_a_bad_choice_is_refused(text: str, fields: dict[str, str], message: str) -> None:
    assert message in refusal(text, **fields)


# What can be read in two ways

ASKED = {  # name -> text, fields that make it ambiguous, the two answers with the first row that each gives
    "decimal commas, no names": (
        "33,5\n32,0\n34,2\n31,9\n30,8\n" * 3,
        ("delimiter=comma", [33, 5]),
        ("decimal=comma", [33.5]),
    ),
    "thousands points": ("x\n1.234\n2.310\n4.005\n2.100\n", ("thousands=point", [1234]), ("decimal=point", [1.234])),
    "thousands points beside small numbers": (
        "x,y\n1.234,5\n950,5\n",
        ("thousands=point", [1234, 5]),
        ("decimal=point", [1.234, 5]),
    ),
    "thousands points in semicolons": (
        "x;y\n1.234;5\n2.310;7\n",
        ("thousands=point", [1234, 5]),
        ("decimal=point", [1.234, 5]),
    ),
    "thousands commas in quotes": (
        'x,y\n"1,234",0.5\n"2,310",0.7\n',
        ("thousands=comma", [1234, 0.5]),
        ("decimal=comma", None),
    ),
    "a header of years": ("1990,1991\n0.5,3.5\n0.7,2.5\n", ("header=yes", [0.5, 3.5]), ("header=no", [1990, 1991])),
    "a header of numbers of stations": (
        "10381,10384\n" + "0.5,3.5\n0.7,2.5\n" * 4,
        ("header=yes", [0.5, 3.5]),
        ("header=no", [10381, 10384]),
    ),
    "decimal commas that end where they must": (
        "33,05\n32,5\n34,25\n31,1\n",
        ("delimiter=comma", [33, 5]),
        ("decimal=comma", [33.05]),
    ),
    "dates and decimal commas, no names": (rows("{day},{X}"), ("delimiter=comma", None)),
    "a header of numbers from 0": (
        "0,1,2\n0.5,3.5,7\n0.7,2.5,8\n",
        ("header=yes", [0.5, 3.5, 7]),
        ("header=no", [0, 1, 2]),
    ),
    "names of places and years": ("city,2020,2021\nParis,5,6\nRome,7,9\n", ("header=yes", None), ("header=no", None)),
    "blanks between thousands": ("1 234\n2 310\n4 005\n", ("delimiter=blanks", [1, 234]), ("thousands=blank", None)),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_can_be_read_in_two_ways_is_asked_and_either_answer_helps(name: str) -> None:
    text, *answers = ASKED[name]
    message = refusal(text)
    assert "line " in message and "say which" in message
    for answer, expected in answers:
        assert f"--set task.{answer}" in message
        if expected is not None:
            field, value = answer.split("=")
            assert table(text, **{field: value}).values_ND[0].tolist() == expected


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("1,20\n2,4\n13,110\n4,5\n", [1, 20]),  # the second column has not one width
        ("1,20\n-2,-44\n13,11\n4,51\n", [1, 20]),  # nothing behind a decimal comma has a sign
        ("a,b\n33,5\n32,0\n34,2\n", [33, 5]),  # two names: two columns
        ("level\n0.234\n1.310\n4.005\n", [0.234]),  # no thousands begin with 0
        ("level\n1.234\n1.31\n4.005\n", [1.234]),
        ("a,b\n1.234,7.100\n2.310,6.125\n", [1.234, 7.1]),  # commas between cells are written with decimal points
        ("a;b\n1,234;7,100\n2,310;6,125\n", [1.234, 7.1]),  # semicolons with decimal commas
        ("a;b\n1,234;7\n2,310;6\n", [1.234, 7]),
        ("a\tb\n13,234\t7,1\n12,310\t6,125\n", [13.234, 7.1]),  # the other column shows the comma
        ("x,y\n1990,1991\n1995,1996\n2001,2002\n", [1990, 1991]),
        ("0\n0.31\n-0.52\n1.12\n2.02\n2.75\n", [0]),  # a walk that begins at 0
        ("7\n6.31\n6.52\n7.12\n7.02\n7.75\n", [7]),
        ("5,3,8\n1,2,9\n4,4,4\n", [5, 3, 8]),
        ("1,2\n30,41\n35,22\n", [1, 2]),
    ],
)
def test_what_can_be_read_in_one_way_is_not_asked(text: str, first: list[float]) -> None:
    assert table(text).values_ND[0].tolist() == first


# Near-misses: what is said, and that the option does it

NEAR = {  # name -> text, part of the message, the options that help, the first row then
    "per cent": (
        rows("{x}%,{y}", "a,b"),
        "line 2, column 'a': got '{x}%' (a number with a per cent sign)",
        {"units": "%"},
    ),
    "currency behind": (rows("{x} €;{y}", "a;b"), "got '{x} €' (a number with a currency sign)", {"units": "€"}),
    "currency before": (rows("${x},{y}", "a,b"), "got '${x}' (a number with a currency sign)", {"units": "$"}),
    "a unit": (rows("{x} kWh,{y}", "a,b"), "got '{x} kWh' (a number with a unit or a mark)", {"units": "kWh"}),
    "a unit before": (rows("EUR {X};{Y}", "a;b"), "got 'EUR {X}' (a number with a unit or a mark)", {"units": "EUR"}),
    "apostrophes": (rows("1'0{x},{y}", "a,b"), "apostrophes between thousands", {"thousands": "apostrophe"}),
    "blanks in thousands": (rows("1 0{x},{y}", "a,b"), "blanks between thousands", {"thousands": "blank"}),
    "narrow blanks": (rows("1\u202f0{x},{y}", "a,b"), "blanks between thousands", {"thousands": "blank"}),
    "thousands and points": (rows('"1,0{x}",{y}', "a,b"), "commas between thousands", {"thousands": "comma"}),
    "thousands and commas": (
        rows("1.0{X};{Y}", "a;b"),
        "points between thousands and a decimal comma",
        {"thousands": "point", "decimal": "comma"},
    ),
    "decimal commas below one name": (rows("{X}", "level"), "line 2: got 2 cells", {"decimal": "comma"}),
    "decimal commas below two names": (rows("{X},{Y}", "a,b"), "line 1: got 2 cells", None),
    "decimal commas, some whole": ("33,5\n32\n34,25\n" + rows("{X}"), "line 2: got 1 cells", None),
    "decimal commas of numbers that rise": (
        "level\n" + "".join(f"{100 + i},{7 * i % 10}\n" for i in range(N)),
        "line 2: got 2 cells (100, 0); expected 1, as in line 1; if the commas are decimal signs",
        None,
    ),
    "dates and decimal commas": (rows("{day},{X}", "date,a"), "line 2: got 3 cells", None),
    "a last line of words": (rows("{x},{y}", "a,b") + "made by hand\n", "line 42: got 1 cells", {"skip_lines": "42"}),
    "a title": (
        rows("{x},{y}", "My station\na,b"),
        "line 1: got 1 cells ('My station'); expected 2",
        {"skip_lines": "1"},
    ),
    "a comment": (
        rows("{x},{y}", "# made by hand\na,b"),
        "line 1: got a comment '# made by hand'",
        {"skip_lines": "1"},
    ),
    "units below the names": (
        rows("{x},{y}", "a,b\nm/s,hPa"),
        "line 2: got 'm/s'; expected numbers",
        {"skip_lines": "2"},
    ),
    "a word": (
        rows("{x},{y}", "a,b\nbroken,7"),
        "line 2, column 'a': got 'broken'",
        {"missing_values": "broken", "missing": "drop"},
    ),
    "a limit": (
        rows("{x},{y}", "a,b\n<0.1,7"),
        "got '<0.1' (a limit, not a number)",
        {"missing_values": "<0.1", "missing": "drop"},
    ),
    "an empty line": (rows("{x},{y}", "a,b\n\n1,2"), "line 2: got 0 cells", {"skip_lines": "2"}),
}


@pytest.mark.parametrize("name", NEAR)
def test_a_near_miss_is_named_and_its_remedy_reads_the_file(name: str) -> None:
    text, part, remedy = NEAR[name]
    message = refusal(text)
    first = {"x": f"{VALUES[0, 0]:.2f}", "X": comma(VALUES[0, 0])}
    for key, value in first.items():
        part = part.replace(f"{{{key}}}", value)
    assert part in message
    if remedy is None:
        return
    for field, value in remedy.items():
        assert f"task.{field}={value}" in message.replace("(or drop, mask)", "") or field == "missing"
    numbers = table(text, **remedy).values_ND  # type: ignore[arg-type]
    assert numbers.shape[0] in (N, N + 1) and numbers[-1, 0] % 1000 == pytest.approx(VALUES[-1, 0], abs=0.006)


def test_a_column_of_two_notations_is_refused_at_its_line() -> None:
    text = "a;b\n13.5;1\n14.5;2\n15,5;3\n16.5;4\n"
    assert "line 4, column 'a': got '15,5' (a decimal comma) where others have a decimal point" in refusal(text)


@pytest.mark.parametrize(
    "text", ["<!DOCTYPE html>\n<html>", "<table><tr>", '<?xml version="1.0"?>', '{"a": 1}', "[[1, 2]]"]
)
def test_markup_is_named(text: str) -> None:
    assert "task.path: line 1: got" in refusal(text) and "save the table as CSV" in refusal(text)


@pytest.mark.parametrize("cell", ["33,5", "1.234,5", "1,234.5", "1 234", "5 %", "$5", "5 kWh", "true", "(5)", "12:30"])
def test_every_look_has_words(cell: str) -> None:
    assert describe_look(cell)[0]


# Missing numbers


@pytest.mark.parametrize(
    "word", ["", "NA", "NaN", "nan", "N/A", "null", "None", "?", "-", ".", "inf", "-Infinity", "#N/A", "#DIV/0!"]
)
def test_missing_numbers_are_refused_with_counts_and_places(word: str) -> None:
    lines = rows("{x},{y}", "a,b").split("\n")
    for line in (4, 9, 10):
        lines[line - 1] = f"{word},7"
    shown = repr(word) if word else "an empty cell"
    counts = "missing in column 'a': 3 of 40 (lines 4, 9, 10)"
    expected = f"task.path: line 4, column 'a': got {shown}; expected a finite number; {counts}"
    message = refusal("\n".join(lines))
    assert message.startswith(expected)
    assert message.endswith("use --set task.missing=interpolate (or drop, mask)")


def gappy(way: str) -> Table:
    text = "a,b\nNA,1\n2,2\n,\n,5\n8,6\n10,7\n9,?\n"
    return table(text, missing=way)


def test_missing_numbers_are_interpolated_or_dropped() -> None:
    np.testing.assert_allclose(gappy("interpolate").values_ND.T, [[2, 2, 4, 6, 8, 10, 9], [1, 2, 3.5, 5, 6, 7, 7]])
    dropped = gappy("drop")
    assert dropped.values_ND.tolist() == [[2, 2], [8, 6], [10, 7]] and dropped.lines_N.tolist() == [3, 6, 7]
    assert [str(notice) for notice in dropped.notices] == [
        "column 'a' lacks 3 of 7 numbers, left out with their rows (lines 2, 4, 5)",
        "column 'b' lacks 2 of 7 numbers, left out with their rows (lines 4, 8)",
    ]
    assert np.isnan(gappy("mask").values_ND).sum() == 5


@pytest.mark.parametrize("declared", ["-9999", "-9999.0", "?x,-9999"])
def test_a_declared_code_is_missing_however_it_is_written(declared: str) -> None:
    found = table("a\n1\n-9999.00\n3\n-9999\n", missing_values=declared, missing="interpolate")
    assert found.values_ND[:, 0].tolist() == [1, 2, 3, 3]
    assert "line 3, column 'a': got '-9999.00'" in refusal("a\n1\n-9999.00\n3\n-9999\n", missing_values=declared)


def test_missing_words_are_no_numbers() -> None:
    plain = Notation()
    assert all(is_missing(word.upper(), plain) for word in MISSING_WORDS)
    assert is_missing("-9999.0", Notation(missing=("-9999",))) and not is_missing("-999", Notation(missing=("-9999",)))
    assert not any(np.isfinite(parse_number(word, plain) or np.nan) for word in MISSING_WORDS)


# Every table comes back

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 4))
NAMES = st.lists(
    st.text(string.ascii_letters + " ,;é\"'", min_size=1, max_size=8).map(lambda name: "c" + name.strip()),
    min_size=2,
    max_size=4,
    unique=True,
)
WRITERS = {  # name -> delimiter, decimal sign, quoting, settings that are needed for any numbers
    "comma": (",", ".", csv.QUOTE_MINIMAL),
    "semicolon": (";", ",", csv.QUOTE_MINIMAL),
    "tab": ("\t", ",", csv.QUOTE_MINIMAL),
    "R": (",", ".", csv.QUOTE_NONNUMERIC),
    "quoted": (";", ",", csv.QUOTE_ALL),
}


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(list(WRITERS)), NAMES, st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_any_table_comes_back(data: st.DataObject, writer: str, names: list[str], index: bool, end: str) -> None:
    delimiter, sign, quoting = WRITERS[writer]
    values = data.draw(st.lists(st.lists(NUMBERS, min_size=len(names), max_size=len(names)), min_size=3, max_size=9))
    file = io.StringIO()
    write = csv.writer(file, delimiter=delimiter, quoting=quoting, lineterminator=end)
    write.writerow([*([""] if index else []), *names])
    for number, row in enumerate(values):
        cells = [f"{value:.4f}".replace(".", sign) for value in row]
        write.writerow([*([str(number)] if index else []), *cells])
    found = table(file.getvalue())
    assert found.names == tuple(names)
    np.testing.assert_array_equal(found.values_ND, np.array(values))
    assert (found.row_labels is not None) == index


# Choosing the layout


def test_the_delimiter_fits_all_rows_not_the_first_alone() -> None:
    sheet = read_sheet('"a;b";c\n' + "1;2\n" * 5, TaskSpec())
    assert sheet.delimiter == "semicolon"
    assert read_sheet("a; b,c\n" + "1,2\n" * 5, TaskSpec()).delimiter == "comma"
    assert read_sheet("note,b\n" + "seen; far,1.5\n" * 5, TaskSpec()).delimiter == "comma"
    assert read_sheet("x\ty\n" + "1,5\t2,5\n" * 5, TaskSpec()).delimiter == "tab"
    assert read_sheet("x\n" + "1.5\n" * 5, TaskSpec()).delimiter == "none"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a,b\n1,2\n", True),
        ("1,2\n3,4\n", False),
        (",5\n1,2\n2,3\n", True),
        ("NA,5\n7,2\n9,3\n", False),
        ("2021-01-01,5\n2021-01-02,6\n", False),
        ("date,5\n2021-01-01,6\n", True),
        ("Paris,5.31\nRome,6.5\n", False),
        ("a\nb\nc\n", True),
    ],
)
def test_the_first_row_is_names_where_it_differs_in_kind(text: str, named: bool) -> None:
    assert read_names(read_sheet(text, TaskSpec()), TaskSpec()).named == named


def test_a_task_hands_its_notices_on() -> None:
    text = rows("{x},{y}", "a,b").replace("\n", "\n-9999,20.5\n", 1)
    task = series_task(TaskSpec(name="series"), text)
    [notice] = task.notices
    assert (notice.column, notice.kind) == ("a", "code")
    assert str(notice).startswith("column 'a' holds -9999 once (line 2), far from all other values")
