"""How JAX is set up for the scripts; called before anything imports JAX."""

import os
from pathlib import Path

CACHE = "RNNJAX_CACHE"  # environment variable: where compiled programs are kept; empty = nowhere


def prepare() -> None:
    """Make every CPU core a device, keep compiled programs, and import JAX.

    Each device then has one thread. XLA's own pool of threads would be shared by the devices, which gains nothing and
    can hang when several of them wait for it inside a linear-algebra call.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_cpu_multi_thread_eigen" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
    import jax  # not at the top: it reads XLA_FLAGS

    jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))
    folder = os.environ.get(CACHE, str(Path.home() / ".cache" / "rnnjax"))
    if folder:
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
