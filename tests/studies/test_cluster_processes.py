"""Workers, schedulers and the process that asks, killed and stopped for real: each study ends as on one machine."""

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from cluster_study import train_plainly

pytest.importorskip("distributed")

from benchmarks.cluster.processes import Cluster, start_study
from rnnjax.storage.manifest import read_manifest
from rnnjax.storage.part_folder import read_attempts

pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(1_200)]

STUDY = """
question = "What is lost?"
seeds = 6
save_every = 200
[base]
hidden = 4
window = 5
steps = 6_000
log_every = 50
block = 2
task.characters = 300
[[axes]]
learning_rate = [0.01, 0.02]
"""
LIMIT_SECONDS = 300.0


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the study, trained without workers; its TOML file is beside it."""
    return train_plainly(tmp_path_factory.mktemp("processes"), STUDY)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path / "logs", [(), ()]) as cluster:
        yield cluster


def wait_for(condition: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    until = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.1)


def end_of(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Exit code, and the line of the error."""
    _, errors = process.communicate(timeout=LIMIT_SECONDS)
    assert "Traceback" not in errors
    return process.returncode, errors.splitlines()[-1]


def saved(folder: Path) -> list[Path]:
    return [path for path in (folder / "checkpoints").glob("*/*") if path.name.isdecimal()]


def states(folder: Path) -> object:
    manifest = read_manifest(folder)
    assert manifest is not None and manifest["state"] == "done"
    return manifest["state_sha256"]


def test_a_killed_worker_then_ctrl_c_then_resume(plain: Path, tmp_path: Path) -> None:
    out, config = tmp_path / "out", str(plain.parent / "s.toml")
    process = start_study(config, "--out", str(out), "--cluster", "local:2")
    wait_for(lambda: saved(out), process)
    attempts = next(read_attempts(out, part) for part in ("group-0", "group-0-1") if read_attempts(out, part))
    os.kill(attempts[0]["pid"], signal.SIGKILL)
    wait_for(lambda: any(len(read_attempts(out, part)) == 2 for part in ("group-0", "group-0-1")), process)
    process.send_signal(signal.SIGINT)
    code, line = end_of(process)
    assert code == 130 and f"to go on: rnnjax study --resume {out}" in line
    process = start_study("--resume", str(out), "--cluster", "local:1")
    assert end_of(process)[0] == 0
    assert states(out) == states(plain)


def test_workers_end_with_the_process_that_asked(plain: Path, tmp_path: Path) -> None:
    out, config = tmp_path / "out", str(plain.parent / "s.toml")
    process = start_study(config, "--out", str(out), "--cluster", "local:2")
    wait_for(lambda: saved(out), process)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    assert len(workers) >= 2 and not psutil.wait_procs(workers, timeout=90)[1]
    process = start_study("--resume", str(out))  # without workers
    assert end_of(process)[0] == 0
    assert states(out) == states(plain)


def test_a_lost_scheduler(plain: Path, tmp_path: Path, cluster: Cluster) -> None:
    out, config = tmp_path / "out", str(plain.parent / "s.toml")
    process = start_study(config, "--out", str(out), "--cluster", cluster.address)
    wait_for(lambda: saved(out), process)
    cluster.kill(None)
    code, line = end_of(process)
    assert code == 7 and "scheduler" in line and f"to go on: rnnjax study --resume {out}" in line
    cluster.keep()
    process = start_study("--resume", str(out), "--cluster", cluster.address)
    while process.poll() is None:
        cluster.keep()
        time.sleep(0.2)
    assert end_of(process)[0] == 0
    assert states(out) == states(plain)


def test_a_disk_that_is_full_for_one_worker(plain: Path, tmp_path: Path, cluster: Cluster) -> None:
    out, config = tmp_path / "out", str(plain.parent / "s.toml")
    resource.prlimit(cluster.workers[0].pid, resource.RLIMIT_FSIZE, (2_000, 2_000))
    process = start_study(config, "--out", str(out), "--cluster", cluster.address)
    code, line = end_of(process)
    assert code == 6 and line.startswith("rnnjax: error: cannot ") and "File too large" in line
    cluster.kill(0)
    cluster.keep()
    process = start_study("--resume", str(out), "--cluster", cluster.address)
    assert end_of(process)[0] == 0
    assert states(out) == states(plain)


def test_no_scheduler(plain: Path, tmp_path: Path) -> None:
    process = start_study(
        str(plain.parent / "s.toml"), "--out", str(tmp_path / "out"), "--cluster", "tcp://127.0.0.1:1"
    )
    code, line = end_of(process)
    assert code == 2 and "no scheduler answers" in line
    assert not (tmp_path / "out").exists()
