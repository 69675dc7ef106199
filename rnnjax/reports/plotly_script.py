"""plotly.js in its basic bundle (`vendor/`, MIT licence), one file that all pages of a folder share.

The bundle draws lines, bars and pies and has 1.2 MB; the whole of plotly.js, which comes with the Python package, has
4.8 MB. It is the file of that name in the npm package plotly.js-basic-dist-min; its major version must be that of the
plotly.js in the Python package, with which figures are written.
"""

from pathlib import Path

from rnnjax.storage.files import write_text

SCRIPT = Path(__file__).with_name("vendor") / "plotly-basic.min.js"
SCRIPT_NAME = "plotly.min.js"  # beside the pages
TRACE_TYPES = frozenset({"scatter", "bar", "pie"})  # that the bundle draws


def write_plotly(folder: Path) -> None:
    """Write plotly.min.js into a folder, for the pages in it and below it. Raises StorageFailed."""
    text = SCRIPT.read_text("utf-8")
    written = folder / SCRIPT_NAME
    if not (written.is_file() and written.stat().st_size == len(text.encode())):
        write_text(written, text)


def check_trace_types(types: set[str]) -> None:
    """Raises ValueError for a type of trace that the bundle does not draw."""
    if unknown := types - TRACE_TYPES:
        raise ValueError(f"a figure has traces of type {', '.join(sorted(unknown))}; expected {sorted(TRACE_TYPES)}")
