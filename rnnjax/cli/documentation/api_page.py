"""docs/python_api.md: every name of `import rnnjax` with its signature, its docstring and its example."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import rnnjax
from rnnjax.cli.documentation.markdown import code, docstring, page

SESSION = """\
>>> from dataclasses import replace
>>> import jax
>>> import rnnjax as rj
"""
INTRODUCTION = f"""\
`import rnnjax` loads no JAX; each name is loaded on first use. The examples below are one session, in this order:

```pycon
{SESSION}```

Mistakes in arguments are `rnnjax.BadInput`, a `ValueError` whose message is one line, before anything is compiled. Two
notebooks show the whole way: [quick_start](examples/quick_start.ipynb) and
[diagnose_flax](examples/diagnose_flax.ipynb). DataFrames and arrays of xarray need `pip install 'rnnjax[notebook]'`."""
SECTIONS = ("Args", "Args and Raises", "Attributes", "Raises", "Returns", "Source")
REGISTRY = "A dictionary from names to factories: "


def api_page() -> str:
    """The page: one section for each name of `rnnjax.__all__`."""
    return page("Python API", INTRODUCTION, *[section(name, getattr(rnnjax, name)) for name in rnnjax.__all__])


def section(name: str, thing: Any) -> str:
    """A heading with what is known of a name."""
    if isinstance(thing, dict):
        return f"## {name}\n\n{REGISTRY}{', '.join(map(code, thing))}."
    parts = [f"## {name}", *([f"```py\n{signature(name, thing)}\n```"] if inspect.isfunction(thing) else [])]
    parts.append(prose(docstring(thing)))
    if inspect.isclass(thing) and thing.__module__.startswith("rnnjax.api"):
        parts += [member(name, one) for name, one in members(thing)]
    if inspect.isclass(thing) and thing.__module__ == "rnnjax.settings":
        parts.append("Its fields: [settings.md](settings.md).")
    return "\n\n".join(part for part in parts if part)


def signature(name: str, function: Any) -> str:
    """A function with its arguments, without the names of modules in annotations."""
    text = f"{name}{inspect.signature(function)}"
    return re.sub(r"'([A-Z]\w*)'", r"\1", re.sub(r"\b(?:[a-z_]\w*\.)+(?=[A-Z])", "", text))


def members(owner: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties of a class."""
    for name, one in vars(owner).items():
        if not name.startswith("_") and (inspect.isfunction(one) or (hasattr(one, "__doc__") and is_member(one))):
            yield name, one


def is_member(one: Any) -> bool:
    return isinstance(one, property | classmethod) or type(one).__name__ == "cached_property"


def member(name: str, one: Any) -> str:
    """One paragraph about a method or a property."""
    function = getattr(one, "__func__", one)
    text = prose(docstring(function)).replace("\n\n", "\n\n  ")
    if not inspect.isfunction(function):
        return f"- `.{name}`: {text}"
    call = re.sub(r"\((?:self|cls)(?:, )?", "(", signature(name, function))
    return f"- `.{call}`: {text}"


def prose(text: str) -> str:
    """A docstring in Markdown: its sections as paragraphs, its example as a block."""
    body, _, example = text.partition("\nExample:\n")
    for name in SECTIONS:
        body = re.sub(rf"(?m)^{name}:\s*", f"**{name}:** ", body)
    paragraphs = [" ".join(part.split()) for part in body.split("\n\n")]
    shown = "\n\n".join(re.sub(r"(?<!\*)\*(?!\*)", r"\\*", part) for part in paragraphs)
    return shown + (f"\n\n```pycon\n{inspect.cleandoc(example)}\n```" if example else "")
