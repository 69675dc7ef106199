"""A function of this package in a process of its own: with other environment variables, and a limit of seconds."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
STUDY = ROOT / "scripts" / "study.py"
WORKER = "import sys; from benchmarks.gpu.process import work; work(*sys.argv[1:])"
Variables = dict[str, str]  # of the environment
LINES = 3  # of a failed process's stderr, in the error message


def environment(changes: Variables) -> Variables:
    """This process's environment with the repository importable.

    JAX takes three quarters of a card when it starts. Here several processes share it (the section, the processes that
    it starts, and torch), so memory is allocated as needed, unless the environment already decides it.
    """
    path = os.pathsep.join([str(ROOT), str(ROOT / "scripts"), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
    return {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"} | os.environ | {"PYTHONPATH": path} | changes


def call(
    module: str, function: str, arguments: dict[str, Any], seconds: float, changes: Variables | None = None
) -> Any:
    """The result of `module.function(**arguments)`; arguments and result are plain values.

    Args:
        seconds: after which the process is killed. changes: to the environment variables.

    Raises:
        TimeoutError, or RuntimeError with the end of the process's stderr.
    """
    with tempfile.TemporaryDirectory() as name:
        result, log = Path(name) / "result.json", Path(name) / "log"
        command = [sys.executable, "-c", WORKER, module, function, json.dumps(arguments), str(result)]
        wait(command, environment(changes or {}), seconds, log)
        return json.loads(result.read_text())


def wait(command: list[str], variables: Variables, seconds: float, log: Path) -> None:
    """Run a command to its end. Raises: as `call`."""
    with log.open("wb") as stderr:
        child = subprocess.Popen(command, env=variables, stderr=stderr)
        try:
            code = child.wait(max(seconds, 1))
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"killed after {seconds:.0f} seconds") from None
        finally:
            end(child)
    if code:
        raise RuntimeError(f"exit code {code}: {' | '.join(log.read_text(errors='replace').splitlines()[-LINES:])}")


def end(child: subprocess.Popen[bytes]) -> None:
    """End a process, and give it time to end those that it started."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def exit_on_sigterm() -> None:
    """Let SIGTERM unwind the stack, so that `wait` ends its process."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


def work(module: str, function: str, arguments: str, result: str) -> None:
    """The other side of `call`."""
    exit_on_sigterm()
    from rnnjax import devices

    devices.prepare()  # before the module imports JAX
    value = getattr(import_module(module), function)(**json.loads(arguments))
    Path(result).write_text(json.dumps(value))
