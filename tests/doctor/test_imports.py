"""Importing the doctor creates no JAX array: it does not start the backend, which can still be set up afterwards."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "rnnjax" / "doctor"
MODULES = [".".join(path.relative_to(FOLDER).with_suffix("").parts) for path in sorted(FOLDER.rglob("*.py"))]
IMPORT_ALL = "; ".join(f"import rnnjax.doctor.{name}".removesuffix(".__init__") for name in MODULES)
# Packages below have tests of their own: they are imported first, and whatever they started is cleared.
BELOW = "import rnnjax.networks.model; from jax.extend.backend import clear_backends; clear_backends()"


def starts_backend(code: str) -> bool:
    """Whether some code initialises the backends of JAX, in a process of its own."""
    script = f"{BELOW}; {code}; from jax._src import xla_bridge; print(xla_bridge.backends_are_initialized())"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "True\n"


@pytest.mark.slow
def test_importing_the_doctor_starts_no_backend() -> None:
    assert len(MODULES) > 10 and not starts_backend(IMPORT_ALL)


def test_a_key_starts_a_backend() -> None:
    """The check above can fail."""
    assert starts_backend("import jax; jax.random.key(0)")
