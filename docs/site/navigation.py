"""Navigation: the tables of contents that `nav.toml` gives the front page and the pages with sub-pages."""

import re
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FILE_LINK = re.compile(r"\[[\w./]+\.md\]\(([^)\s]+)\)")  # its text is the name of a file


def adapt_page(app: Any, name: str, source: list[str]) -> None:
    """A handler of `source-read`: the tables of contents of a page, and links by title. The file stays as it is."""
    source[0] = FILE_LINK.sub(r"[](\1)", source[0])
    for section in read_sections():
        if section["below"].rpartition(".")[0] == name:
            source[0] += "\n" + toctree(section.get("title", ""), list_pages(section["pages"]))


def parents() -> list[str]:
    """The pages with a table of contents, which are read again at every build: `nav.toml` may have changed."""
    return sorted({section["below"].rpartition(".")[0] for section in read_sections()})


def read_sections() -> list[dict[str, Any]]:
    """The sections of `nav.toml`: `below` (a page), `pages`, and `title` for those of the front page."""
    return tomllib.loads((HERE / "nav.toml").read_text())["section"]


def list_pages(patterns: list[str]) -> dict[str, str]:
    """Path from the root of the repository -> title in the navigation, "" for the page's own.

    The paths that match a pattern are in the order of their names; "Title <path>" gives a title.
    """
    pages: dict[str, str] = {}
    for pattern in patterns:
        title, _, path = pattern.removesuffix(">").rpartition(" <")
        for page in match(path) if "*" in path else [path]:
            pages.setdefault(page, title)
    return pages


def match(pattern: str) -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern))


def toctree(title: str, pages: dict[str, str]) -> str:
    caption = f":caption: {title}\n" if title else ""
    names = {f"/{page.rpartition('.')[0]}": title for page, title in pages.items()}
    entries = "\n".join(f"{title} <{name}>" if title else name for name, title in names.items())
    return f"```{{toctree}}\n:hidden:\n{caption}\n{entries}\n```\n" if pages else ""
