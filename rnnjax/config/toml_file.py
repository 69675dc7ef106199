"""Reading a TOML file: each mistake of the file or its syntax is one line. Imports no JAX."""

import difflib
import re
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rnnjax.config.included import included_studies
from rnnjax.errors import BadInput

MAX_BYTES = 1_000_000  # bytes
MAX_DEPTH = 32  # nested tables or arrays
MAX_BITS = 10_000  # of an integer: far more than any setting takes, and few enough to be printed
LONG_INTEGER = "an integer of more than 3,000 digits; expected at most 64 bits, as TOML has them"


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises BadInput, one line, for a file that cannot be read or parsed."""
    raw = read_limited(path)
    if len(raw) > MAX_BYTES:
        raise BadInput(f"{path}: config larger than 1 MB")
    text = decode_utf8(raw, path)
    if not text.strip():
        raise BadInput(f"{path}: config is empty")
    return parse_toml(text, path)


def read_limited(path: Path) -> bytes:
    """The bytes of a regular file, at most one more than allowed."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise BadInput(f"{path}: is a directory; expected a TOML file")
        if not stat.S_ISREG(mode):  # a pipe would block, and /dev/zero has no end
            raise BadInput(f"{path}: is not a regular file; expected a TOML file")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise BadInput(f"no such config file {str(path)!r}{nearest_files(path)}") from None
    except OSError as error:
        raise BadInput(f"{path}: {(error.strerror or str(error)).lower()}") from None


def nearest_files(path: Path) -> str:
    """Files that a missing one may stand for: those around, and the studies that come with rnnjax, by name."""
    included = included_studies()
    if path.stem in included:
        return f"; a study of that name comes with rnnjax: rnnjax study {path.stem}"
    known = [str(one) for one in (*sorted(Path("configs").glob("*/*.toml")), *sorted(path.parent.glob("*.toml")))]
    close = difflib.get_close_matches(str(path), known, 3, 0.4)
    close += difflib.get_close_matches(path.stem, included, 3) if len(path.parts) == 1 else []
    return f"; nearest: {', '.join(dict.fromkeys(close))}" if close else ""


def decode_utf8(raw: bytes, path: Path) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: invalid UTF-8 at byte {error.start:,}; expected a TOML file in UTF-8") from None


def parse_toml(text: str, path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(text)
    except RecursionError:
        raise BadInput(f"{path}: nested deeper than {MAX_DEPTH}") from None
    except tomllib.TOMLDecodeError as error:
        raise BadInput(locate_error(str(error), text, path)) from None
    except ValueError:  # an integer with more digits than Python converts
        raise BadInput(f"{path}: got {LONG_INTEGER}") from None
    layers = list(nested_layers(table))
    if len(layers) > MAX_DEPTH:
        raise BadInput(f"{path}: nested deeper than {MAX_DEPTH}")
    if any(is_long_integer(value) for layer in layers for value in layer):
        raise BadInput(f"{path}: got {LONG_INTEGER}")
    return table


def parse_toml_value(text: str) -> Any:
    """The value that a text is in TOML, or the text itself where it is no single value.

    Raises BadInput for an integer of thousands of digits.
    """
    try:
        table = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    except ValueError:
        raise BadInput(f"got {LONG_INTEGER}") from None
    if table.keys() != {"value"}:
        return text
    if any(is_long_integer(value) for layer in nested_layers(table) for value in layer):
        raise BadInput(f"got {LONG_INTEGER}")
    return table["value"]


def locate_error(message: str, text: str, path: Path) -> str:
    """The parser's message with the line that it means and a caret under the column."""
    place = re.search(r"\(at line (\d+), column (\d+)\)", message)
    lines = text.splitlines()
    line, column = (int(place[1]), int(place[2])) if place else (len(lines), len(lines[-1]) + 1)
    reason = message.split(" (at ")[0]
    shown = lines[min(line, len(lines)) - 1][:200]
    return f"{path}:{line}:{column}: {reason[0].lower()}{reason[1:]}\n    {shown}\n    {' ' * (column - 1)}^"


def nested_layers(value: Any) -> Iterator[list[Any]]:
    """What stands at each depth of nested tables and arrays; without recursion, because the value is the user's."""
    layer = [value]
    while layer:
        yield layer
        layer = [
            item
            for outer in layer
            if isinstance(outer, dict | list)
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]


def is_long_integer(value: Any) -> bool:
    """Whether a value is an integer that is not even to be printed; a setting's own rule refuses shorter ones."""
    return isinstance(value, int) and value.bit_length() > MAX_BITS
