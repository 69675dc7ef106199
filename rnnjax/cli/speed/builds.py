"""Older builds of rnnjax as contenders: a commit of the repository, unpacked and timed in a process of its own."""

import io
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rnnjax import devices
from rnnjax.cli.speed.contenders import Contender, Size, Stepper
from rnnjax.cli.speed.processes import Worker, open_worker
from rnnjax.errors import BadInput

ROOT = Path(__file__).parents[3]  # of the checkout


def run_git(*arguments: str) -> bytes:
    """What git prints. Raises CalledProcessError, or FileNotFoundError without git."""
    return subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, capture_output=True).stdout


def check_commits(commits: Sequence[str]) -> None:
    """Raises BadInput for what is no commit of this checkout."""
    for commit in commits:
        try:
            run_git("rev-parse", "--verify", "--end-of-options", f"{commit}^{{commit}}")
        except (subprocess.CalledProcessError, FileNotFoundError):
            raise BadInput(f"--against-build: got {commit!r}; expected a commit of the repository in {ROOT}") from None


@contextmanager
def open_builds(commits: Sequence[str]) -> Iterator[dict[str, Contender]]:
    """A contender for each commit, with this environment's packages; the processes end with the context."""
    with ExitStack() as stack:
        yield {f"build {commit}": stack.enter_context(open_build(commit)) for commit in commits}


@contextmanager
def open_build(commit: str) -> Iterator[Contender]:
    with tempfile.TemporaryDirectory() as name:
        with tarfile.open(fileobj=io.BytesIO(run_git("archive", "--format=tar", commit))) as archive:
            archive.extractall(name, filter="data")
        path = os.pathsep.join([name, str(Path(name, "scripts")), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | {"PYTHONPATH": path, devices.CACHE: ""}
        # -P: the worker's own folder has modules whose names those of an old build would be shadowed by.
        command = [sys.executable, "-P", str(Path(__file__).with_name("build_worker.py")), name]
        with open_worker(f"build {commit}", command, environment) as worker:
            yield contender(worker)


def contender(worker: Worker) -> Contender:
    def build(size: Size) -> tuple[Stepper, int]:
        runs = worker.ask(size=size)["runs"]

        def step(steps: int) -> float:
            return worker.ask(steps=steps)["processor"]

        return step, runs

    return build
