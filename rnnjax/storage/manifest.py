"""The manifest of a run: config, data and machine; and the checks of these when the run is resumed.

The same config on the same machine gives the same bits (promise P1); so both are kept, and compared on resume.
"""

import hashlib
import math
import os
import platform
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from rnnjax import __version__
from rnnjax.errors import DamagedState, FolderRefused
from rnnjax.storage.config_changes import ADDABLE, canonical_json, compare_configs, config_differences
from rnnjax.storage.sealed import read_sealed_json

Manifest = dict[str, Any]

HERE = Path(__file__).parent
FORMAT = 2  # of the manifest; 2 since 0.2, where settings were renamed
MOST_NAMED = 8  # fields or files listed in one message
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
NUMERICS = ("jax_default_prng_impl", "jax_threefry_partitionable", "jax_enable_x64", "jax_default_matmul_precision")
ISA_PREFIXES = ("sse4", "avx", "fma", "amx", "asimd", "sve")  # the flags by which XLA's CPU compiler picks its kernels


def machine_fingerprint() -> dict[str, Any]:
    """The properties of a machine that must agree for two runs of one config to be bitwise equal.

    Returns:
        {"versions", "commit", "platform", "devices", "numerics"}; "numerics" holds JAX's settings as they are in
        force, wherever they came from, and XLA_FLAGS. Imports JAX and starts its devices.
    """
    import jax  # not at the top: a folder is refused before JAX is loaded

    kinds = sorted(f"{device.platform}:{device.device_kind}" for device in jax.devices())
    numerics = {name: getattr(jax.config, name) for name in NUMERICS}
    return {
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}},
        "commit": git_commit(),
        "platform": {"system": sys.platform, "machine": platform.machine(), **_cpu()},
        "devices": {"kinds": sorted(set(kinds)), "count": len(kinds)},
        "numerics": {**numerics, "XLA_FLAGS": os.environ.get("XLA_FLAGS", "")},
    }


def git_commit(folder: Path = HERE) -> str:
    """The commit of rnnjax, "-dirty" appended if files were changed since; empty outside rnnjax's own repository.

    Installed in an environment inside another project's checkout, the package's folder belongs to that repository, if
    to any; its commit does not identify rnnjax.
    """
    top = _git(folder, "rev-parse", "--show-toplevel")
    tracked = _git(folder, "ls-files", Path(__file__).name)
    if not top or not tracked or not _is_own_project(Path(top)):
        return ""
    return _git(folder, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _is_own_project(top: Path) -> bool:
    try:
        project = tomllib.loads((top / "pyproject.toml").read_text("utf-8")).get("project", {})
    except (OSError, ValueError):
        return False
    return project.get("name") == "rnnjax"


def _git(folder: Path, *arguments: str) -> str:
    """The output of a git command in a folder; empty where it fails."""
    try:
        answer = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):  # no git, or a disk that does not answer
        return ""
    return answer.stdout.strip()


def instruction_sets() -> list[str]:
    """The instruction sets of this CPU that decide how programs are compiled; none where the system does not tell."""
    return list(_cpu()["isa"])


def _cpu() -> dict[str, Any]:
    """Model and instruction sets, where the system tells them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return {"cpu": platform.processor(), "isa": []}
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = fields.get("flags", fields.get("Features", "")).split()
    return {"cpu": fields.get("model name", ""), "isa": sorted(f for f in flags if f.startswith(ISA_PREFIXES))}


def run_identity(config: dict[str, Any], fingerprint: dict[str, Any], data_sha256: str) -> Manifest:
    """The part of a manifest by which a run is known."""
    return {
        "rnnjax_format": FORMAT,
        "config": to_config_json(config),
        "config_sha256": config_hash(config),
        "data_sha256": data_sha256,
        "machine": to_config_json(fingerprint),
    }


def first_attempt(new: Manifest) -> Manifest:
    """The manifest of a new run."""
    return {**new, "attempt": 1, "one_machine": True}


def next_attempt(folder: Path, old: Manifest, new: Manifest, note: Callable[[str], None]) -> Manifest:
    """The manifest of a run that is resumed; `one_machine` is true while all its attempts ran on one machine."""
    changed = _changed(old["machine"], new["machine"], "this one")
    if changed:
        note(f"{folder} was made on another machine ({changed}): its result is not bitwise that of one machine")
    return {**old, **new, "attempt": old["attempt"] + 1, "one_machine": old["one_machine"] and not changed}


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a run folder, for any reader; None if there is none written by rnnjax.

    Raises:
        DamagedState: it cannot be read, its seal is broken, or it is from a newer rnnjax. FolderRefused: from an older.
    """
    path = folder / "manifest.json"
    manifest = read_sealed_json(path) if path.exists() else None
    if not isinstance(manifest, dict) or "rnnjax_format" not in manifest:
        return None
    if not isinstance(manifest["rnnjax_format"], int):
        raise DamagedState(f"{path} was damaged or changed: rnnjax_format is no number")
    if manifest["rnnjax_format"] > FORMAT:
        raise DamagedState(f"{path} was written by a newer rnnjax")
    if manifest["rnnjax_format"] < FORMAT:
        raise FolderRefused(
            f"{path} was written by rnnjax 0.1 (format {manifest['rnnjax_format']}); this is rnnjax {__version__} "
            f"(format {FORMAT}): run the study again, or read it with rnnjax 0.1"
        )
    return manifest


def check_same_run(folder: Path, old: Manifest, new: Manifest, data_sha256: str) -> list[str]:
    """Raises FolderRefused, naming the fields, unless the new config is the old one or adds to it, on the same data.

    Args: data_sha256: of the data of the arms that are there. Returns: the additions, in words.
    """
    changes = compare_configs(old["config"], new["config"])
    if changes.others:
        raise FolderRefused(f"{folder} holds another config: {_name_pairs(changes.others, 'config')}; {ADDABLE}")
    if old["data_sha256"] != data_sha256:
        raise FolderRefused(f"{folder}: corpus sha256 differs from run")
    return changes.added


def check_same_machine(folder: Path, old: Manifest, new: Manifest, strict: bool) -> None:
    """Raises FolderRefused for other numerics, which make another result, and if `strict` for any other machine."""
    if changed := _changed(old["machine"].get("numerics", {}), new["machine"].get("numerics", {}), "this one"):
        raise FolderRefused(f"{folder} was made under other numerics: {changed}")
    if strict and (changed := _changed(old["machine"], new["machine"], "this one")):
        raise FolderRefused(f"{folder} was made on another machine, and --strict is given: {changed}")


def _changed(old: dict[str, Any], new: dict[str, Any], who: str) -> str:
    return _name_pairs(config_differences(old, new), who)


def _name_pairs(pairs: dict[str, tuple[str, str]], who: str) -> str:
    found = [f"it has {name} {before[:60]}, {who} says {now[:60]}" for name, (before, now) in pairs.items()]
    return truncate_list(found, "; ")


def truncate_list(items: list[str], separator: str = ", ") -> str:
    """The first few of many, and how many more."""
    more = [f"{len(items) - MOST_NAMED} more"] if len(items) > MOST_NAMED else []
    return separator.join(items[:MOST_NAMED] + more)


def to_config_json(value: Any) -> Any:
    """`value` as JSON can hold it and give it back: a setting that is not finite (inf = off) becomes its name."""
    return _plain(value, str)


def to_results_json(value: Any) -> Any:
    """`value` as JSON can hold it; NaN and infinities, which JSON does not know, become null."""
    return _plain(value, lambda number: None)


def _plain(value: Any, not_finite: Callable[[float], Any]) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): _plain(item, not_finite) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, not_finite) for item in value]
    return not_finite(value) if isinstance(value, float) and not math.isfinite(value) else value


def config_hash(config: dict[str, Any]) -> str:
    """The sha256 of a config; the order of the fields does not matter."""
    return hashlib.sha256(canonical_json(to_config_json(config)).encode()).hexdigest()
