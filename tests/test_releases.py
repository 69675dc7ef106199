"""The files of versions: the measured set, the floors, and the releases that CI runs."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LIGHT = [line for extra in ("interop", "cluster") for line in PROJECT["optional-dependencies"][extra]]  # tested too
DEPENDENCIES = [Requirement(line) for line in [*PROJECT["dependencies"], *LIGHT]]
WORKFLOW = (ROOT / ".github" / "workflows" / "ci.yml").read_text()


def canonical_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(name: str) -> dict[str, Version]:
    """The versions of a constraints file; each line that is no comment pins one package exactly."""
    lines = [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")]
    pairs = [line.split("==") for line in lines]
    assert len({name for name, _ in pairs}) == len(pairs)
    return {canonical_name(name): Version(version) for name, version in pairs}


def floor(requirement: Requirement) -> Version:
    """Its lower bound; every dependency has one."""
    (bound,) = [each.version for each in requirement.specifier if each.operator == ">="]
    return Version(bound)


MEASURED, OLDEST = pinned("constraints.txt"), pinned("constraints-oldest.txt")


@pytest.mark.parametrize("requirement", DEPENDENCIES, ids=lambda requirement: requirement.name)
def test_the_measured_version_of_a_dependency_is_allowed(requirement: Requirement) -> None:
    assert requirement.specifier.contains(MEASURED[canonical_name(requirement.name)])


def test_the_oldest_set_is_that_of_the_floors() -> None:
    assert {canonical_name(each.name): floor(each) for each in DEPENDENCIES} == OLDEST


def manifests() -> dict[str, dict[str, Any]]:
    paths = sorted((ROOT / "results").glob("*/manifest.json"))
    return {path.parent.name: json.loads(path.read_text()) for path in paths}


@pytest.mark.parametrize(("study", "manifest"), manifests().items(), ids=manifests())
def test_the_committed_results_were_computed_with_the_measured_set(study: str, manifest: dict[str, Any]) -> None:
    versions = manifest["machine"]["versions"]
    assert versions.pop("python").startswith("3.11.")
    assert {name: Version(version) for name, version in versions.items()} == {name: MEASURED[name] for name in versions}


def test_the_classifiers_are_the_pythons_of_the_matrix() -> None:
    named = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if "Python :: 3." in line]
    (matrix,) = re.findall(r"python: (\[.*\])", WORKFLOW)
    assert json.loads(matrix) == named
    assert PROJECT["requires-python"] == f">={named[0]}"


@pytest.mark.parametrize("name", re.findall(r"-c (\S+)", WORKFLOW))
def test_the_workflow_installs_with_files_that_are_there(name: str) -> None:
    assert (ROOT / name).is_file()
