"""Devices and memory of the machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rnnjax import devices


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
