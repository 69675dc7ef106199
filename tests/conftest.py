"""Strict settings for every test, where what is only a warning to a user is an error; and compilation at a low price.

Most of a run's time is compilation. Compiled programs are therefore kept in .pytest_cache for all processes of a run
and for the next ones (`pytest --cache-clear` removes them), and XLA's optimizations are off: no test compares with
stored bits, and the oracles have tolerances. So are the MLIR emitters of fused loops, which take 40% of the time.
Tests of bits that depend on the shape of a program, and those of what a user runs, are marked `optimised` and have
both.
"""

import gc
import os
import signal
import threading
from typing import Any

import pytest

os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false".strip()
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
from jax._src import compiler  # XLA reads its flags once in a process; nothing public sets one for each compilation

FLAGS, EMITTERS = os.environ["XLA_FLAGS"], "xla_cpu_use_fusion_emitters"
compile_options = compiler.get_compile_options


def compile_options_of_the_test(*arguments: Any, env_options_overrides: Any = None, **named: Any) -> Any:
    """JAX's own, with the emitters off where the optimizations are; what a program asks for itself comes last."""
    chosen = {EMITTERS: os.environ.get("JAX_DISABLE_MOST_OPTIMIZATIONS") != "true"} | dict(env_options_overrides or {})
    return compile_options(*arguments, env_options_overrides=chosen, **named)


compiler.get_compile_options = compile_options_of_the_test
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_rank_promotion", "raise")
gc.set_threshold(100_000, 20, 100)  # traces are many small objects: the default spends a tenth of a run here


def restore_signals() -> None:
    """A script in the background ignores SIGINT, nohup ignores SIGHUP, and so would all processes of the tests."""
    defaults = {"SIGINT": signal.default_int_handler, "SIGHUP": signal.SIG_DFL, "SIGTERM": signal.SIG_DFL}
    for name, default in defaults.items():
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, default)


def pytest_configure(config: pytest.Config) -> None:
    if threading.current_thread() is threading.main_thread():
        restore_signals()
    if not config.pluginmanager.hasplugin("cacheprovider"):
        return
    folder = str(config.cache.mkdir("compiled"))  # type: ignore[union-attr]
    os.environ["RNNJAX_CACHE"] = folder  # of subprocesses
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before the fixtures of the module, which may compile."""
    plain = item.get_closest_marker("optimised") is None
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = str(plain).lower()  # of subprocesses, as is the next line
    os.environ["XLA_FLAGS"] = f"{FLAGS} --{EMITTERS}=false" if plain else FLAGS
    jax.config.update("jax_disable_most_optimizations", plain)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `exhaustive` are for a release."""
    if not os.environ.get("RNNJAX_EVERY_STUDY"):
        for item in items:
            if item.get_closest_marker("exhaustive"):
                item.add_marker(pytest.mark.skip(reason="RNNJAX_EVERY_STUDY=1 runs it"))
