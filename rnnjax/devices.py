"""The devices and the memory of this machine. `prepare` sets JAX up for the commands, before anything imports it."""

import contextlib
import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
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
    folder = cache_folder()
    if folder:
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    _refuse_absent_devices()
    check_jax_settings()


def cache_folder() -> Path | None:
    """Where compiled programs are kept; None = nowhere."""
    folder = os.environ.get(CACHE, str(Path.home() / ".cache" / "rnnjax"))
    return Path(folder) if folder else None


def check_jax_settings() -> None:
    """Raises BadInput for a setting of JAX, from the environment or from the user's program, that is not supported."""
    import jax

    for name, (supported, reason) in SUPPORTED.items():
        if (value := getattr(jax.config, name, supported[0])) not in supported:
            raise BadInput(f"{name.upper()}={value} is not supported: {reason}")


COMPILERS = ("c++", "g++", "clang++")  # unless the environment variable CXX names one
COMPILER_OPTIONS = ("-O3", "-march=native", "-ffp-contract=fast", "-std=c++17", "-shared", "-fPIC", "-w")


@cache
def load_targets(package: str, source: str, names: tuple[str, ...]) -> None:
    """Compile a file of C++ for this machine's processor and register its handlers with XLA, by their names.

    The library is kept beside the compiled programs. Raises BadInput without a compiler, or where it fails.
    """
    import jax

    if jax.default_backend() != "cpu":
        raise BadInput(f"recurrence: got 'fused'; expected 'scan' on the platform {jax.default_backend()}")
    folder = cache_folder() or Path(tempfile.mkdtemp())
    text = resources.files(package).joinpath(source).read_text("utf-8")
    command = [find_compiler(), *COMPILER_OPTIONS, f"-I{jax.ffi.include_dir()}"]
    library = folder / f"{Path(source).stem}-{_digest(text, *command, processor_name(), jax.__version__)}.so"
    if not library.exists():
        _compile(command, text, library)
    handlers = ctypes.cdll.LoadLibrary(str(library))
    for name in names:
        jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(getattr(handlers, name)), platform="cpu")


def find_compiler() -> str:
    """The path of a compiler of C++. Raises BadInput."""
    asked = os.environ.get("CXX")
    found = [path for name in ([asked] if asked else COMPILERS) if (path := shutil.which(name))]
    if not found:
        tried = f"CXX={asked}" if asked else ", ".join(COMPILERS)
        raise BadInput(f"recurrence: got 'fused'; expected 'scan': no compiler of C++ was found ({tried})")
    return found[0]


def has_compiler() -> bool:
    """Whether `find_compiler` finds one."""
    try:
        return bool(find_compiler())
    except BadInput:
        return False


def processor_name() -> str:
    """What tells processors with other instructions apart."""
    described = Path("/proc/cpuinfo")
    lines = described.read_text("utf-8").splitlines() if described.exists() else []
    known = {line for line in lines if line.startswith(("model name", "flags", "Features"))}
    return "\n".join([platform.machine(), platform.processor(), *sorted(known)])


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _compile(command: Sequence[str], text: str, library: Path) -> None:
    """Write the library, by rename: another process may do the same."""
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            source, built = Path(folder, "source.cpp"), Path(folder, library.name)
            source.write_text(text, "utf-8")
            done = subprocess.run([*command, str(source), "-o", str(built)], capture_output=True, text=True)
            if done.returncode:
                said = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip()[:200])
                raise BadInput(f"recurrence: got 'fused'; expected 'scan': {command[0]} failed: {said}")
            built.replace(library)
    except OSError as error:
        raise BadInput(f"{CACHE}: the compiled kernel cannot be written: {error}") from None


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
