"""What is installed: data files, the mark of a typed package, and one version everywhere."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

import rnnjax

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PATTERNS = PROJECT["tool"]["setuptools"]["package-data"]["rnnjax"]
NOT_DATA = {".py", ".pyc"}


def data_files() -> set[str]:
    paths = [path for path in (ROOT / "rnnjax").rglob("*") if path.is_file() and path.suffix not in NOT_DATA]
    return {path.relative_to(ROOT).as_posix() for path in paths}


def test_every_data_file_is_named_as_package_data() -> None:
    named = {path.relative_to(ROOT).as_posix() for pattern in PATTERNS for path in (ROOT / "rnnjax").glob(pattern)}
    assert "rnnjax/py.typed" in named and data_files() == named


@pytest.mark.slow
def test_the_wheel_holds_every_file(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(ROOT / "rnnjax", source / "rnnjax", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(source)]
    subprocess.run(command, check=True)
    names = set(ZipFile(next(tmp_path.glob("rnnjax-*.whl"))).namelist())
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "rnnjax").rglob("*.py")}
    assert modules | data_files() <= names
    assert {name.partition("/")[0].split("-")[0] for name in names} == {"rnnjax"}


def test_one_version_everywhere() -> None:
    citation = (ROOT / "CITATION.cff").read_text()
    assert PROJECT["project"]["version"] == rnnjax.__version__
    assert re.search(r"^version: (\S+)$", citation, re.MULTILINE)[1] == rnnjax.__version__  # type: ignore[index]
