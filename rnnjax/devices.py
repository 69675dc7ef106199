"""The devices and the memory of this machine. `prepare` sets JAX up for the commands, before anything imports it."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from rnnjax.errors import BadInput

GPUS = ("cuda", "gpu", "rocm")
# JAX's settings under which a study would fail after hours, or its seeds would depend on each other: name -> the values
# that may stay, and why no other.
SUPPORTED = {
    "jax_default_prng_impl": (("threefry2x32",), "seeds would not be independent"),
    "jax_enable_x64": ((False,), "states and probes are float32"),
    "jax_disable_jit": ((False,), "programs of many runs are compiled"),
    "jax_debug_nans": ((False,), "a run that diverges is recorded, and the others go on"),
    "jax_debug_infs": ((False,), "a run that diverges is recorded, and the others go on"),
    "jax_numpy_dtype_promotion": (("standard",), "integers and numbers are mixed"),
    "jax_transfer_guard": ((None, "allow", "log"), "results are copied from the device"),
}
CACHE = "RNNJAX_CACHE"  # environment variable: where compiled programs are kept; empty = nowhere


def prepare(cpu_devices: int | None = None) -> None:
    """Make every CPU core a device, keep compiled programs, and import JAX.

    Args: cpu_devices: so many devices, whatever the cores; a worker of a cluster has those of the process that asks.

    Each device then has one thread. XLA's own pool of threads would be shared by the devices, which gains nothing and
    can hang when several of them wait for it inside a linear-algebra call.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_cpu_multi_thread_eigen" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
    with _refused_settings():
        import jax  # not at the top: it reads XLA_FLAGS

    jax.config.update("jax_num_cpu_devices", cpu_devices or cpu_count())
    folder = os.environ.get(CACHE, str(Path.home() / ".cache" / "rnnjax"))
    if folder:
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    _refuse_absent_devices()
    check_jax_settings()


def check_jax_settings() -> None:
    """Raises BadInput for a setting of JAX, from the environment or from the user's program, that is not supported."""
    import jax

    for name, (supported, reason) in SUPPORTED.items():
        if (value := getattr(jax.config, name, supported[0])) not in supported:
            raise BadInput(f"{name.upper()}={value} is not supported: {reason}")


def cpu_count() -> int:
    """The CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


CGROUP_LIMITS = ("memory.max", "memory/memory.limit_in_bytes")  # of version 2 and of version 1


def available_memory(cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes of memory: those of the machine, or fewer where a container has a limit; no limit where none is told."""
    limits = [machine_memory(), *(read_limit(cgroups / name) for name in CGROUP_LIMITS)]
    return min([limit for limit in limits if limit is not None], default=sys.maxsize)


def machine_memory() -> int | None:
    """Bytes of the machine's memory; None where the system does not tell them (Windows)."""
    if not hasattr(os, "sysconf"):
        return None
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None


def read_limit(path: Path) -> int | None:
    """The number of bytes in a file of a cgroup; None where there is no such file, or no limit ("max")."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


@contextlib.contextmanager
def _refused_settings() -> Iterator[None]:
    """Turns a ValueError of JAX about an environment variable into BadInput."""
    try:
        yield
    except ValueError as error:
        raise BadInput(f"environment: JAX refuses a setting: {str(error).splitlines()[0]}") from None


def _refuse_absent_devices() -> None:
    """Raises BadInput where the requested platform is missing; there is no silent fallback to another."""
    import jax

    try:
        jax.devices()
    except (RuntimeError, AssertionError):  # the second where JAX has no plug-in for a platform that it knows
        requested = os.environ.get("JAX_PLATFORMS", "")
        jax.config.update("jax_platforms", "cpu")
        here = ", ".join(f"{device.platform}:{device.id}" for device in jax.devices())
        what = "GPU" if requested in GPUS else "such device"
        raise BadInput(f"JAX_PLATFORMS={requested}: no {what} found; devices: {here}") from None
