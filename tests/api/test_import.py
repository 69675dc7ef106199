"""`import rnnjax`: names on first use, no JAX before."""

import subprocess
import sys
from pathlib import Path

import pytest

import rnnjax

LIGHT = ["__version__", "Spec", "HParams", "TaskSpec", "BadInput", "setup_devices"]  # need no JAX


def test_importing_and_the_light_names_load_no_jax() -> None:
    code = f"import sys, rnnjax; [getattr(rnnjax, name) for name in {LIGHT}]; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"jax", "flax", "optax", "plotly", "pandas", "xarray", "scipy"} & set(loaded)


def test_importing_alone_loads_nothing_of_ours() -> None:
    code = "import sys; before = set(sys.modules); import rnnjax; print(*(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert [name for name in loaded if name.startswith("rnnjax")] == ["rnnjax"]
    assert "numpy" not in loaded and "pydantic" not in loaded


def test_every_name_is_there_and_listed() -> None:
    assert len(set(rnnjax.__all__)) == len(rnnjax.__all__)
    for name in rnnjax.__all__:
        assert getattr(rnnjax, name) is not None
        assert name in dir(rnnjax)


def test_the_type_checker_sees_the_names_that_python_finds() -> None:
    """The imports for type checkers and the table for Python, which are written down twice."""
    source = Path(str(rnnjax.__file__)).read_text()
    typed = {line.split()[-1]: line.split()[1] for line in source.splitlines() if line.startswith("    from ")}
    assert typed == {name: f"rnnjax.{module}" for name, module in rnnjax._MODULES.items()}


def test_another_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="module 'rnnjax' has no attribute 'trian'"):
        _ = rnnjax.trian


@pytest.mark.slow
def test_setup_devices_makes_every_core_a_device_once() -> None:
    """In a process of its own; a second call changes nothing, one after the first array with others is refused."""
    code = (
        "import rnnjax as rj, jax; from rnnjax.devices import cpu_count; rj.setup_devices(); "
        "assert len(jax.devices()) == cpu_count(); rj.setup_devices()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    late = (
        "import jax; jax.config.update('jax_num_cpu_devices', 7); jax.devices(); import rnnjax as rj\n"
        "try: rj.setup_devices()\nexcept rj.BadInput as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", late], check=True, capture_output=True, text=True).stdout
    assert said.startswith("setup_devices: JAX has already started; call it before the first array")
