"""Compiled templates, kept beside compiled programs: compiling those of a report takes a third of a second."""

import contextlib
import hashlib
from functools import cache
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket

from rnnjax import devices


class TemplateCache(jinja2.FileSystemBytecodeCache):
    """A folder of compiled templates; where it cannot be written, they are compiled again."""

    def dump_bytecode(self, bucket: Bucket) -> None:
        with contextlib.suppress(OSError):
            super().dump_bytecode(bucket)


def template_cache(autoescape: bool) -> TemplateCache | None:
    """The cache of an environment; None where nothing is kept (`devices.CACHE`).

    Jinja knows a compiled template by its source alone. It also depends on autoescape and, where a filter is applied to
    a constant, on the filter: so there is a folder for each state of this package.
    """
    folder = devices.cache_folder()
    if folder is None:
        return None
    place = folder / f"templates-{package_digest()}-{'escaped' if autoescape else 'plain'}"
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return TemplateCache(str(place))


@cache
def package_digest() -> str:
    """Of the package's modules and Jinja's version."""
    digest = hashlib.sha256(jinja2.__version__.encode())
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
