"""Generated study files, texts and tables: each is accepted, or refused in one line; nothing else, and nothing written.

Values are drawn by hypothesis (extra `test`) in batches, each with a random seed of its own.
"""

import codecs
import json
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from benchmarks.faults.trial import Trial, Trials, describe_error
from rnnjax.config.fields import FIELDS
from rnnjax.config.load import load_study
from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.studies.datasets import read_source_text
from rnnjax.studies.prepare import prepare_study
from rnnjax.studies.registry_names import check_setting_names
from rnnjax.tasks import TASKS

BATCH = 200  # examples of one call of hypothesis
PREPARED_EVERY = 40  # of the accepted studies one is checked further, with its data and shapes: half a second each
MEMORY = 10**9
LONGEST_MESSAGE = 2_000  # characters
STUDY = "study.toml"

# Study files

NAMES = [*FIELDS, "inputs", "task", "seed", "learing_rate", "x", "task.path", "a.b"]
NUMBERS = st.one_of(
    st.integers(-3, 100),
    st.sampled_from([2**31 - 1, 2**31, 2**32, 2**63, 2**64, 10**12, -(10**30)]),
    st.floats(width=64),
    st.sampled_from([0.5, 1e-50, 1e39, 1e300]),
)
WORDS = st.one_of(st.sampled_from(["tanh", "sum", "carried", "", "text", "orthogonal"]), st.text(max_size=8))
VALUES = st.one_of(NUMBERS, WORDS, st.booleans(), st.lists(NUMBERS, max_size=2), st.just({"a": 1}))
GOOD = {
    "hidden": st.integers(1, 99),
    "learning_rate": st.floats(0.01, 1),
    "carry": st.sampled_from(["carried", "reset"]),
}
TABLE = st.one_of(
    *2 * [st.fixed_dictionaries({}, optional=GOOD)], st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3)
)
AXIS = st.one_of(
    st.fixed_dictionaries({}, optional={name: st.lists(good, max_size=3) for name, good in GOOD.items()}),
    st.dictionaries(st.sampled_from(NAMES), st.one_of(VALUES, st.lists(VALUES, max_size=4)), max_size=2),
)
CRITERION = st.fixed_dictionaries(
    {"rule": st.one_of(st.sampled_from(["bound", "higher", "x"]), VALUES)},
    optional={
        "metric": st.one_of(st.just("final_loss"), WORDS),
        "arms": st.one_of(st.just(["*"]), VALUES),
        "high": NUMBERS,
    },
)
CLAIM = st.fixed_dictionaries(
    {"id": WORDS, "text": WORDS, "stated": WORDS},
    optional={"criteria": st.one_of(VALUES, st.lists(CRITERION, max_size=2)), "source": VALUES},
)
GOOD_CONFIG = st.fixed_dictionaries(
    {"question": st.just("q")},
    optional={
        "base": st.fixed_dictionaries({}, optional=GOOD),
        "axes": st.lists(
            st.fixed_dictionaries({"hidden": st.lists(st.integers(1, 40), min_size=1, max_size=3)}), max_size=1
        ),
        "seeds": st.integers(1, 9),
        "probes": st.fixed_dictionaries({"spectrum": st.integers(2, 9)}),
    },
)
ANY_CONFIG = st.fixed_dictionaries(
    {"question": st.one_of(st.just("q"), st.just("q"), VALUES)},
    optional={
        "base": TABLE,
        "axes": st.lists(AXIS, max_size=2),
        "seeds": st.one_of(st.integers(1, 9), st.lists(st.integers(0, 9), max_size=3), VALUES),
        "save_every": st.one_of(st.integers(1, 99), VALUES),
        "probes": st.dictionaries(st.sampled_from(["spectrum", "text", "x"]), st.one_of(st.integers(2, 9), VALUES)),
        "initial_statistics": st.one_of(VALUES, st.fixed_dictionaries({"count": NUMBERS, "arms": st.just(["*"])})),
        "claims": st.one_of(st.lists(CLAIM, max_size=2), VALUES),
    },
)
CONFIG = st.one_of(GOOD_CONFIG, ANY_CONFIG, ANY_CONFIG)
GOOD_OVERRIDES = st.lists(st.sampled_from(["hidden=3", "steps=7"]), max_size=2)
OVERRIDES = st.one_of(
    *2 * [GOOD_OVERRIDES],
    st.lists(
        st.sampled_from(["hidden=3", "steps=0", "hidden", "x=1", "task.path=[", f"steps={'9' * 5000}"]), max_size=2
    ),
)

# Texts and tables

PIECES = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.text("ab \r\n", max_size=60).map(str.encode),
    st.sampled_from([codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF32_LE, b"\0", b"the cat sat " * 20]),
)
ENCODINGS = st.sampled_from(
    ["utf-8", "utf-8", "latin-1", "utf-16", "utf-32", "utf-7", "idna", "punycode", "undefined", "?"]
)
TOKENS = st.sampled_from(["characters", "bytes", "words"])
CELLS = st.one_of(
    st.floats(-1e6, 1e6).map(lambda value: f"{value:.2f}"),
    st.floats(-1e6, 1e6).map(lambda value: f"{value:.2f}".replace(".", ",")),
    st.sampled_from(["", "NA", "nan", "inf", "-9999", "2021-01-05", "05.01.2021", "12:30", "1e400", "5 %", "$5"]),
    st.sampled_from(["=1+1", '"', "'", "\0", "\x1b[2J", "\u202e", "\u22121.5", "1\u202f234,5", "1.234.567,8", "0x10"]),
    st.text(max_size=6),
)
DELIMITERS = st.sampled_from([",", ";", "\t", "|", " "])
SHORTEST = st.sampled_from([1, 12, 20])  # rows of a table
NAMES_OF_COLUMNS = "abcd"
RAW_TABLES = st.text(string.digits + ",;.\n\t ab-\"'%:/", max_size=80)
FIELDS_OF_TABLES = st.fixed_dictionaries(
    {"validation": st.just(0.3)},
    optional={
        "header": st.sampled_from(["yes", "no"]),
        "delimiter": st.sampled_from(["blanks", "comma", "tab"]),
        "decimal": st.sampled_from(["comma", "point"]),
        "missing": st.sampled_from(["drop", "interpolate", "mask"]),
        "columns": st.sampled_from(["a", "-a", "2", "a,b", ","]),
        "index": st.sampled_from(["a", "1", "x"]),
        "order": st.sampled_from(["sort", "reverse", "file"]),
    },
)


@st.composite
def shaped_tables(draw: st.DrawFn) -> str:
    """Rows of about as many cells, of any content."""
    delimiter, columns = draw(DELIMITERS), draw(st.integers(1, 4))
    numbers = [st.integers(-99, 99).map(str), st.floats(-9, 9).map(repr)]
    cell = draw(st.sampled_from([CELLS, *numbers]))
    rows = draw(st.lists(st.lists(cell, min_size=columns, max_size=columns), min_size=draw(SHORTEST), max_size=30))
    named = [[*NAMES_OF_COLUMNS][:columns]] if draw(st.booleans()) else []
    return draw(st.sampled_from(["\n", "\r\n"])).join(delimiter.join(row) for row in [*named, *rows])


def toml(value: Any) -> str:
    """A value as inline TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=True) if value.isascii() else json.dumps(ascii(value))
    return json.dumps(value) if isinstance(value, bool) else repr(value)


def outcome(kind: str, attempt: Callable[[], object], given: object) -> Trial:
    """One trial: accepted, or refused in one line."""
    try:
        attempt()
    except BadInput as error:
        message = str(error)
        is_good = "\n" not in message and 0 < len(message) <= LONGEST_MESSAGE
        return Trial(
            f"{kind} refused", "" if is_good else f"{given!r}: a message of {len(message)} characters: {message!a}"
        )
    except Exception as error:
        return Trial(f"{kind} refused", f"{describe_error(error)} for {given!a}")
    return Trial(f"{kind} accepted")


def batches(count: int, seed: int, strategy: st.SearchStrategy[Any], attempt: Callable[[Any], Trial]) -> Trials:
    """The trials of `count` values of a strategy."""
    for first in range(0, count, BATCH):
        trials: list[Trial] = []

        def keep(value: Any, trials: list[Trial] = trials) -> None:
            trials.append(attempt(value))

        collect(strategy, keep, min(BATCH, count - first), seed + first)
        yield from trials


def collect(strategy: st.SearchStrategy[Any], use: Callable[[Any], object], count: int, seed: int) -> None:
    """Call a function with `count` values at most."""

    @hypothesis.seed(seed)
    @settings(
        max_examples=count, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=[*HealthCheck]
    )
    @given(strategy)
    def each(value: Any) -> None:
        use(value)

    each()


def configs_trials(count: int, seed: int, folder: Path) -> Trials:
    """Study files with overrides."""
    path, accepted = folder / STUDY, [0]

    def attempt(drawn: tuple[dict[str, Any], list[str]]) -> Trial:
        table, overrides = drawn
        path.write_text("\n".join(f"{name} = {toml(value)}" for name, value in table.items()))

        def load() -> None:
            study = load_study(path, overrides)
            check_setting_names(study)
            accepted[0] += 1
            if accepted[0] % PREPARED_EVERY == 0:
                prepare_study(study)

        trial = outcome("study file", load, drawn)
        written = [each.name for each in folder.iterdir() if each != path]
        return Trial(trial.test, f"{drawn!a}: wrote {written}") if written else trial

    yield from batches(count, seed, st.tuples(CONFIG, OVERRIDES), attempt)


def corpora_trials(count: int, seed: int, folder: Path) -> Trials:
    """Files as a corpus, from characters, bytes and words."""
    path = folder / "corpus.txt"

    def attempt(drawn: tuple[bytes, str, str, float]) -> Trial:
        raw, encoding, token, share = drawn
        path.write_bytes(raw)

        def load() -> None:
            spec = TaskSpec(name="text", path=str(path), encoding=encoding, tokens=token, validation=share)  # type: ignore[arg-type]
            source = read_source_text(spec, MEMORY)
            assert source is not None
            task = TASKS["text"](spec, source.text)
            assert len(task.train_N) > 0 and max(np.max(ids_N, initial=0) for ids_N in task[:2]) < task.outputs

        return outcome("corpus", load, drawn)

    raw = st.lists(PIECES, max_size=4).map(b"".join)
    yield from batches(
        count, seed, st.tuples(raw, ENCODINGS, TOKENS, st.sampled_from([1e-9, 0.1, 0.5, 0.999999])), attempt
    )


def tables_trials(count: int, seed: int, folder: Path) -> Trials:
    """Files as a series."""
    path = folder / "table.csv"

    def attempt(drawn: tuple[str, dict[str, str]]) -> Trial:
        text, fields = drawn
        path.write_bytes(text.encode("utf-8", "surrogatepass"))

        def load() -> None:
            spec = TaskSpec(name="series", path=str(path), **fields)  # type: ignore[arg-type]
            source = read_source_text(spec, MEMORY)
            assert source is not None
            rows = TASKS["series"](spec, source.text).train_N
            assert fields.get("missing") == "mask" or np.isfinite(rows).all()

        return outcome("table", load, drawn)

    yield from batches(count, seed, st.tuples(st.one_of(RAW_TABLES, shaped_tables()), FIELDS_OF_TABLES), attempt)
