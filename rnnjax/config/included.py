"""The studies that come with rnnjax, by name, and a study file by what a user types. Imports no JAX.

They are in configs/ of a checkout, and in rnnjax/configs/ of an installed wheel (setup.py copies them).
"""

from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[1]


class FoundStudy(NamedTuple):
    """A study file.

    Attributes:
        path: the file. hidden: a different file of this name that comes with rnnjax, and is not used.
    """

    path: Path
    hidden: Path | None = None


def included_studies(package: Path = PACKAGE) -> dict[str, Path]:
    """Name -> file: the studies, then the templates for training on one's own data."""
    installed = package / "configs"
    folder = installed if installed.is_dir() else package.parent / "configs"
    return {path.stem: path for path in sorted(folder.glob("*/*.toml"))}


def find_study(typed: str) -> FoundStudy:
    """The file that a user means: a path; NAME.toml of the working directory; a study that comes with rnnjax.

    A file that is there wins over an included study of its name. A name without a file is returned as a path, so that
    reading it tells what is missing.
    """
    path = Path(typed)
    if is_file(path) or path.suffix == ".toml" or len(path.parts) != 1:
        return FoundStudy(path)
    own, included = path.with_name(f"{typed}.toml"), included_studies().get(typed)
    if is_file(own):
        same = included is None or own.read_bytes() == included.read_bytes()
        return FoundStudy(own, None if same else included)
    return FoundStudy(included or path)


def is_file(path: Path) -> bool:
    """Whether a file is there; not where its name is longer than the system allows."""
    try:
        return path.is_file()
    except OSError:
        return False
