"""What macOS and Windows lack: names of the standard library that exist on Linux alone are not needed."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "rnnjax").rglob("*.py"))
MODULES = {"fcntl", "grp", "pwd", "termios", "tty", "pty", "resource", "syslog", "crypt", "nis", "posix"}
NAMES = {  # missing on Windows; the first two on macOS too
    *("os.sched_getaffinity", "os.sched_setaffinity", "os.sysconf", "os.statvfs", "os.fork", "os.wait", "os.waitpid"),
    *("os.getuid", "os.geteuid", "os.getgid", "os.getgroups", "os.getpgid", "os.setsid", "os.uname", "os.nice"),
    *("os.getloadavg", "os.mkfifo", "os.chown", "os.killpg", "os.pread", "os.ST_RDONLY", "os.openpty"),
    *("signal.SIGHUP", "signal.SIGKILL", "signal.SIGALRM", "signal.SIGUSR1", "signal.alarm", "signal.pause"),
    *("select.poll", "socket.AF_UNIX", "time.tzset"),
}
GUARDED = {  # file -> names that it uses where they are there
    "devices.py": {"os.sched_getaffinity", "os.sysconf"},
    "storage/files.py": {"os.statvfs", "os.ST_RDONLY"},
}
WITHOUT = """
import os, shutil, signal, sys
usage = shutil.disk_usage(".")
shutil.disk_usage = lambda path: usage  # on Windows it asks the system in another way
for name in {names}:
    owner, _, attribute = name.partition(".")
    if hasattr(sys.modules[owner], attribute):
        delattr(sys.modules[owner], attribute)
sys.argv = ["rnnjax", "study", "study.toml"]
from rnnjax.cli.command import main
main()
"""
TAKEN = [*sorted(set().union(*GUARDED.values())), "os.geteuid", "os.getuid", "os.getloadavg", "signal.SIGHUP"]
STUDY = """
question = "Does it run?"
seeds = 2
[base]
steps = 20
hidden = 4
log_every = 5
"""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT / "rnnjax").as_posix())
def test_no_name_of_linux_alone_is_used_unguarded(path: Path) -> None:
    tree = ast.parse(path.read_text())
    used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not imported & MODULES
    assert used & NAMES == GUARDED.get(path.relative_to(ROOT / "rnnjax").as_posix(), set())


@pytest.mark.slow
def test_a_study_runs_without_the_names_of_linux(tmp_path: Path) -> None:
    """In a process from which they were taken away before anything was imported."""
    (tmp_path / "study.toml").write_text(STUDY)
    command, environment = [sys.executable, "-c", WITHOUT.format(names=TAKEN)], os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500, check=False
    )
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "runs" / "study" / "report.html").stat().st_size > 0
