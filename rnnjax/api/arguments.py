"""Checks of the arguments of public functions: one-line errors that name arguments as Python has them. Loads no JAX."""

import contextlib
import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rnnjax.errors import BadInput, FolderRefused

RENAMED = {"from": "start", "resume": "resume=True"}  # options whose argument has another name


@contextlib.contextmanager
def python_names() -> Iterator[None]:
    """Messages about options of the command line name the arguments of Python instead.

    `--top-k: got 0` becomes `top_k: got 0`, and `use --set task.encoding=latin-1` becomes `use encoding=latin-1`.
    """
    try:
        yield
    except (BadInput, FolderRefused) as error:
        raise type(error)(in_python(str(error))) from None


def in_python(message: str) -> str:
    """A message with arguments in the place of command-line options."""

    def argument(option: re.Match[str]) -> str:
        name = option[1].replace("-", "_")
        return RENAMED.get(name, name)

    without_set = re.sub(r"--set (['\"]?)(?:task\.)?(\w+=)", r"\1\2", message)
    return re.sub(r"(?<![\w-])--([a-z][a-z-]*)", argument, without_set)


def choose_name(argument: str, value: Any, known: Iterable[Any]) -> Any:
    """The value, if it is known. Raises: BadInput with the nearest names."""
    names = list(known)
    if value in names:
        return value
    close = difflib.get_close_matches(str(value), map(str, names), 3, 0.3)
    listed = close or [str(name) for name in names[:6]]
    raise BadInput(f"{argument}: got {value!r}; expected one of {len(names)}, nearest: {', '.join(listed)}")


def plain(value: Any) -> Any:
    """A value as TOML could have it: lists for tuples, ranges and arrays, numbers of Python for those of NumPy."""
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(item) for item in value]
    return value
