"""How JAX is set up for the scripts; called before anything imports JAX."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from rnnjax.errors import BadInput

GPUS = ("cuda", "gpu", "rocm")
CACHE = "RNNJAX_CACHE"  # environment variable: where compiled programs are kept; empty = nowhere


def prepare() -> None:
    """Make every CPU core a device, keep compiled programs, and import JAX.

    Each device then has one thread. XLA's own pool of threads would be shared by the devices, which gains nothing and
    can hang when several of them wait for it inside a linear-algebra call.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_cpu_multi_thread_eigen" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
    with _refused_settings():
        import jax  # not at the top: it reads XLA_FLAGS

    jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))
    folder = os.environ.get(CACHE, str(Path.home() / ".cache" / "rnnjax"))
    if folder:
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    _refuse_absent_devices()


@contextlib.contextmanager
def _refused_settings() -> Iterator[None]:
    """Turns JAX's refusal of an environment variable into BadInput."""
    try:
        yield
    except ValueError as error:
        raise BadInput(f"environment: JAX says: {str(error).splitlines()[0]}") from None


def _refuse_absent_devices() -> None:
    """Raises BadInput where the platform asked for is not there; nothing falls back to another one in silence."""
    import jax

    try:
        jax.devices()
    except (RuntimeError, AssertionError):  # the second where JAX has no plug-in for a platform that it knows
        asked = os.environ.get("JAX_PLATFORMS", "")
        jax.config.update("jax_platforms", "cpu")
        here = ", ".join(f"{device.platform}:{device.id}" for device in jax.devices())
        what = "GPU" if asked in GPUS else "such device"
        raise BadInput(f"JAX_PLATFORMS={asked}: no {what} found; devices: {here}") from None
