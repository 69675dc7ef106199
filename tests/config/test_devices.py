"""Devices and memory of the machine."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import pytest

from rnnjax import devices
from rnnjax.errors import BadInput


def test_importing_cells_starts_no_backend() -> None:
    """`prepare` must come before JAX's backends; a module that makes an array at import would start them."""
    program = "import rnnjax.networks.cells; from rnnjax import devices; devices.prepare(); print('ready')"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert answer.stdout == "ready\n", answer.stderr[-500:]


def test_cores_are_counted_where_the_system_has_no_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= devices.cpu_count() <= (os.cpu_count() or 1)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert devices.cpu_count() == 3
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert devices.cpu_count() == 1


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
def test_memory_is_that_of_the_container(name: str, tmp_path: Path) -> None:
    machine = devices.available_memory(tmp_path)
    assert machine == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = tmp_path / name
    limit.parent.mkdir(exist_ok=True)
    for written, expected in {"1048576\n": 2**20, "max\n": machine, "9223372036854771712\n": machine}.items():
        limit.write_text(written)
        assert devices.available_memory(tmp_path) == expected


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("jax_default_prng_impl", "rbg", "seeds would not be independent"),
        ("jax_enable_x64", True, "states and probes are float32"),
        ("jax_debug_nans", True, "a run that diverges is recorded"),
        ("jax_numpy_dtype_promotion", "strict", "integers and numbers are mixed"),
    ],
)
def test_settings_of_jax_that_are_not_supported_rows_82_and_83(name: str, value: Any, reason: str) -> None:
    devices.check_jax_settings()
    before = getattr(jax.config, name)
    jax.config.update(name, value)
    try:
        with pytest.raises(BadInput, match=f"^{name.upper()}={value} is not supported: {reason}"):
            devices.check_jax_settings()
    finally:
        jax.config.update(name, before)
