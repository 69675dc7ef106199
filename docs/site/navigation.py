"""The navigation: the tables of contents that `nav.toml` gives the front page and the pages with sub-pages."""

import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def add_navigation(app: Any, name: str, source: list[str]) -> None:
    """A handler of `source-read`: append its tables of contents to a page. The file stays plain Markdown."""
    for section in read_sections():
        if section["below"].rpartition(".")[0] == name:
            source[0] += "\n" + toctree(section.get("title", ""), list_pages(section["pages"]))


def read_sections() -> list[dict[str, Any]]:
    """The sections of `nav.toml`: `below` (a page), `pages`, and `title` for those of the front page."""
    return tomllib.loads((HERE / "nav.toml").read_text())["section"]


def list_pages(patterns: list[str]) -> list[str]:
    """Paths from the root of the repository; those that match a pattern in the order of their names."""
    pages = [page for pattern in patterns for page in (match(pattern) if "*" in pattern else [pattern])]
    return list(dict.fromkeys(pages))


def match(pattern: str) -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern))


def toctree(title: str, pages: list[str]) -> str:
    caption = f":caption: {title}\n" if title else ""
    entries = "\n".join(f"/{page.rpartition('.')[0]}" for page in pages)
    return f"```{{toctree}}\n:hidden:\n{caption}\n{entries}\n```\n" if pages else ""
