"""Run folders: every refusal has its message and leaves nothing behind; one process at a time; files whole or not."""

import contextlib
import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnjax.errors import BadInput, DamagedState, FolderRefused, RnnjaxError, StorageFailed
from rnnjax.storage import files
from rnnjax.storage import run_folder as runs
from rnnjax.storage.manifest import HERE, config_hash, git_commit, machine_fingerprint, read_manifest
from rnnjax.storage.run_folder import open_run
from rnnjax.storage.sealed import read_sealed_npz

CONFIG = {"spec": {"hidden": 64, "block": 8}, "hp": {"clip_norm": math.inf, "learning_rate": 0.01}}
MACHINE = {
    "versions": {"jaxlib": "0.10.2"},
    "platform": {"isa": ["avx2"]},
    "devices": {"kinds": ["cpu:cpu"], "count": 2},
    "numerics": {"jax_default_prng_impl": "threefry2x32", "jax_enable_x64": False, "XLA_FLAGS": ""},
}


def changed(tree: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A copy with the dotted fields (`spec__hidden=128`) set."""
    copy: dict[str, Any] = json.loads(json.dumps(tree))
    for path, value in fields.items():
        *above, name = path.split("__")
        inner = copy
        for key in above:
            inner = inner[key]
        inner[name] = value
    return copy


def opened(folder: Path, config: Any = CONFIG, machine: Any = MACHINE, resume: bool = False, **more: Any) -> Any:
    return open_run(folder, config, machine, resume, **more)


def interrupted(folder: Path) -> None:
    with opened(folder):
        pass


def finished(folder: Path) -> None:
    with opened(folder) as run:
        run.done()


def foreign(folder: Path) -> None:
    folder.mkdir()
    (folder / "thesis.tex").write_text("do not touch")


def other_manifest(folder: Path) -> None:
    folder.mkdir()
    (folder / "manifest.json").write_text('{"name": "a web application"}')


def a_file(folder: Path) -> None:
    folder.write_text("")


def under_a_file(folder: Path) -> None:
    a_file(folder.parent)


def dangling(folder: Path) -> None:
    folder.symlink_to("/nowhere/at/all")


def link_outside(folder: Path) -> None:
    interrupted(folder)
    (folder / "tb").symlink_to("/etc")


def nothing(folder: Path) -> None:
    pass


def only_a_lock(folder: Path) -> None:
    folder.mkdir()
    (folder / ".lock").write_text("pid 1 on host gone since long ago")


def broken_manifest(folder: Path) -> None:
    interrupted(folder)
    (folder / "manifest.json").write_text('{"rnnjax_for')


def newer_manifest(folder: Path) -> None:
    interrupted(folder)
    (folder / "manifest.json").write_text('{"rnnjax_format": 99}')


def older_manifest(folder: Path) -> None:
    interrupted(folder)
    (folder / "manifest.json").write_text('{"rnnjax_format": 1, "config": {}}')


NOT_OURS = "contains files rnnjax did not write: "
OTHER = "holds another config: it has spec."
REFUSALS: dict[str, tuple[Callable[[Path], None], dict[str, Any], type[RnnjaxError], str]] = {
    "row 29 block": (interrupted, {"config": changed(CONFIG, spec__block=16), "resume": True}, FolderRefused,
                     OTHER + "block 8, config says 16"),
    "row 59 corpus": (interrupted, {"data_sha256": "f00", "resume": True}, FolderRefused,
                      "corpus sha256 differs from run"),
    "row 59 corpus, finished": (finished, {"data_sha256": "f00"}, FolderRefused, "corpus sha256 differs from run"),
    "row 62 file": (a_file, {}, StorageFailed, "is not a folder"),
    "row 62 under a file": (under_a_file, {}, StorageFailed, "is not a folder"),
    "row 62 dangling link": (dangling, {}, StorageFailed, "is not a folder"),
    "row 64": (finished, {"config": changed(CONFIG, spec__hidden=128)}, FolderRefused,
               OTHER + "hidden 64, config says 128"),
    "row 64 several": (interrupted, {"config": changed(CONFIG, spec__hidden=128, hp__clip_norm=5.0)}, FolderRefused,
                       'it has hp.clip_norm "inf", config says 5.0; it has spec.hidden 64, config says 128'),
    "row 64 field gone": (interrupted, {"config": {"spec": CONFIG["spec"]}}, FolderRefused,
                          'hp.clip_norm "inf", config says nothing'),
    "row 64 partial, no resume": (interrupted, {}, FolderRefused, "unfinished run of this config; use --resume"),
    "row 66": (foreign, {}, FolderRefused, NOT_OURS + "'thesis.tex'"),
    "row 66 resume": (foreign, {"resume": True}, FolderRefused, NOT_OURS + "'thesis.tex'"),
    "row 66 another's manifest": (other_manifest, {}, FolderRefused, NOT_OURS + "'manifest.json'"),
    "row 67": (link_outside, {"resume": True}, FolderRefused, "refuses to follow tb, which leads to /etc outside"),
    "row 68": (nothing, {"resume": True}, FolderRefused, "nothing to resume in "),
    "row 68 killed early": (only_a_lock, {"resume": True}, FolderRefused, "nothing to resume in "),
    "row 69": (interrupted, {"config": changed(CONFIG, spec__hidden=128), "resume": True}, FolderRefused,
               OTHER + "hidden 64, config says 128"),
    "row 71 strict": (interrupted, {"machine": changed(MACHINE, versions__jaxlib="0.11"), "resume": True,
                                    "strict": True}, FolderRefused,
                      'another machine, and --strict is given: it has versions.jaxlib "0.10.2", this one says "0.11"'),
    "row 75 manifest": (newer_manifest, {"resume": True}, DamagedState, "written by a newer rnnjax"),
    "manifest of 0.1": (older_manifest, {"resume": True}, FolderRefused,
                        "manifest.json was written by rnnjax 0.1 (format 1); this is rnnjax 0.2.0 (format 2): "
                        "run the study again, or read it with rnnjax 0.1"),
    "row 83 x64": (interrupted, {"machine": changed(MACHINE, numerics__jax_enable_x64=True), "resume": True},
                   FolderRefused, "other numerics: it has jax_enable_x64 false, this one says true"),
    "row 83 flags": (interrupted, {"machine": changed(MACHINE, numerics__XLA_FLAGS="--fast"), "resume": True},
                     FolderRefused, 'it has XLA_FLAGS "", this one says "--fast"'),
    "broken manifest": (broken_manifest, {"resume": True}, DamagedState, "cannot read "),
}  # fmt: skip


def snapshot(folder: Path) -> dict[str, Any]:
    """All that is below a folder: names, bytes and times."""
    paths = sorted(folder.rglob("*"))
    return {str(p): (p.lstat().st_mtime_ns, p.read_bytes() if p.is_file() else None) for p in paths}


@pytest.mark.parametrize("row", REFUSALS)
def test_refusals_say_why_and_write_nothing(row: str, tmp_path: Path) -> None:
    prepare, arguments, error, message = REFUSALS[row]
    folder = tmp_path / "above" / "run"
    folder.parent.mkdir()
    if prepare is under_a_file:
        folder.parent.rmdir()
    prepare(folder)
    before = snapshot(tmp_path)
    with pytest.raises(error) as raised:
        opened(folder, **arguments)
    assert message in str(raised.value) and "\n" not in str(raised.value)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    "name", ["..", "~", ".", "", "-x", "a\0b", "a\nb", "a\n", "<b>", "x" * 300, "a b", "é", ".hidden", "a;rm", "a/.."]
)
def test_names_of_run_folders_rows_60_and_61(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "above"
    with pytest.raises(BadInput, match="run name must match"):
        opened(folder / name if name not in {"", "."} else Path(name))
    assert not folder.exists()


def test_exit_codes() -> None:
    codes = {error: error.exit_code for error in (BadInput, FolderRefused, DamagedState, StorageFailed)}
    assert codes == {BadInput: 2, FolderRefused: 3, DamagedState: 4, StorageFailed: 6}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no permission to mount: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_read_only_disk_row_62(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(StorageFailed, match=r"cannot write to .*/run: Read-only file system"):
        opened(small_disk / "run")


def test_no_permission_row_62(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may do all
    with pytest.raises(StorageFailed, match=r"cannot write to .*/run: Permission denied"):
        opened(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_too_little_space_row_63(small_disk: Path) -> None:
    files.check_space(small_disk / "not" / "yet" / "there", 100_000)
    with pytest.raises(StorageFailed, match=r"0\.0 GB free, need 1\.2 GB"):
        files.check_space(small_disk / "not" / "yet" / "there", 1_200_000_000)
    assert list(small_disk.iterdir()) == []


def test_a_full_disk_keeps_what_was_there(small_disk: Path) -> None:
    with opened(small_disk / "run") as run:
        run.write_text("report.md", "short")
        for write in (
            lambda: run.write_text("report.md", "long" * 100_000),
            lambda: run.write_npz("metrics/loss.npz", {"loss": np.random.default_rng(0).random(100_000)}),
        ):
            with pytest.raises(StorageFailed, match="No space left on device"):
                write()
        assert (run.path / "report.md").read_text() == "short"
        assert not list(run.path.rglob("*.tmp")) and not (run.path / "metrics/loss.npz").exists()


def test_a_disk_that_fills_up_never_hides_the_first_error(small_disk: Path) -> None:
    with pytest.raises(StorageFailed, match=r"cannot write to .*/big"), opened(small_disk / "run") as run:
        with contextlib.suppress(OSError), (small_disk / "ballast").open("wb", buffering=0) as ballast:
            while True:
                ballast.write(b"x" * 4096)
        run.write_text("big", "x" * 200_000)
    (small_disk / "ballast").unlink()
    opened(small_disk / "run", resume=True).__exit__(None, None, None)  # the lock is free


def test_second_opening_is_refused_at_once_row_65(tmp_path: Path) -> None:
    with opened(tmp_path / "run"):
        for resume in (False, True):
            started = time.monotonic()
            with pytest.raises(FolderRefused, match=rf"in use by pid {os.getpid()} on host \S+ since \d{{4}}-"):
                opened(tmp_path / "run", resume=resume)
            assert time.monotonic() - started < 1
    opened(tmp_path / "run", resume=True).__exit__(None, None, None)


def test_a_refused_opening_frees_the_lock(tmp_path: Path) -> None:
    interrupted(tmp_path / "run")
    with pytest.raises(FolderRefused, match="another config"):
        opened(tmp_path / "run", config={})
    opened(tmp_path / "run", resume=True).__exit__(None, None, None)


RACER = """
import sys, time
from pathlib import Path
from rnnjax.errors import RnnjaxError
from rnnjax.storage.run_folder import open_run
import portalocker
print("ready", flush=True)
sys.stdin.readline()
started = time.monotonic()
try:
    with open_run(Path(sys.argv[1]), {}, {}, resume=False) as run:
        time.sleep(1)
        run.done()
    print("won", run.attempt)
except RnnjaxError as error:
    print(time.monotonic() - started, error)
    sys.exit(error.exit_code)
"""


def racer_process(script: str, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_kill_frees_the_folder(tmp_path: Path) -> None:
    script = RACER.replace("time.sleep(1)", "print('open', flush=True); time.sleep(60)")
    victim = racer_process(script, tmp_path / "run")
    assert victim.stdin is not None and victim.stdout is not None
    victim.stdin.write("go\n")
    victim.stdin.flush()
    assert [victim.stdout.readline() for _ in range(2)] == ["ready\n", "open\n"]
    with pytest.raises(FolderRefused, match=f"in use by pid {victim.pid} "):
        opened(tmp_path / "run", {}, {}, resume=True)
    victim.kill()
    victim.communicate()
    with opened(tmp_path / "run", {}, {}, resume=True) as run:
        assert run.attempt == 2


def test_the_life_of_a_run(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"
    notes: list[str] = []
    with opened(folder, data_sha256="abc") as run:
        assert (run.attempt, run.finished, run.manifest["state"]) == (1, False, "running")
        run.record(seconds={"train": 1.5, "io": math.nan})
    manifest = read_manifest(folder)
    assert manifest is not None
    assert manifest["state"] == "interrupted" and manifest["seconds"] == {"train": 1.5, "io": None}
    assert manifest["config"]["hp"]["clip_norm"] == "inf" and manifest["config_sha256"] == config_hash(CONFIG)
    with opened(folder, resume=True, strict=True, note=notes.append, data_sha256="abc") as run:
        assert run.attempt == 2 and run.manifest["one_machine"] and not notes
        run.done()
    before = snapshot(folder)
    for resume in (False, True):
        with opened(folder, resume=resume, data_sha256="abc") as run:
            assert run.finished and run.attempt == 2
    del before[str(folder / ".lock")]
    assert before.items() <= snapshot(folder).items()
    assert run.manifest["state"] == "done"


def test_done_is_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path / "run") as run:
        written: list[str] = []
        monkeypatch.setattr(files, "write_text", lambda path, text: written.append(path.name))
        run.done()
    assert written == ["manifest.json", "DONE.json"]


def test_another_machine_is_noted_row_71(tmp_path: Path) -> None:
    interrupted(tmp_path / "run")
    notes: list[str] = []
    for attempt, machine in ((2, changed(MACHINE, devices__count=4)), (3, changed(MACHINE, devices__count=4))):
        with opened(tmp_path / "run", machine=machine, resume=True, note=notes.append) as run:
            assert run.attempt == attempt and run.manifest["one_machine"] is False
    (note,) = notes
    assert "another machine (it has devices.count 2, this one says 4): its result is not bitwise" in note


def test_an_early_kill_leaves_a_folder_that_can_be_used(tmp_path: Path) -> None:
    only_a_lock(tmp_path / "run")
    (tmp_path / "run" / ".manifest.json.tmp").write_text("{")
    with opened(tmp_path / "run") as run:
        assert run.attempt == 1


def test_results_are_valid_json_row_81(tmp_path: Path) -> None:
    with opened(tmp_path / "run") as run:
        run.write_json("summary.json", {"loss": [np.float32(0.5), math.nan, -math.inf], "n": np.arange(2), "t": (1,)})
    text = (tmp_path / "run" / "summary.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == {"loss": [0.5, None, None], "n": [0, 1], "t": [1]}


def test_arrays_come_back_bitwise_and_pickles_never_row_76(tmp_path: Path) -> None:
    arrays: dict[str, np.ndarray] = {
        "loss": np.array([np.nan, -0.0], np.float32),
        "file": np.arange(3),
        "a/b": np.zeros((0, 2), bool),
    }
    with opened(tmp_path / "run") as run:
        run.write_npz("metrics/base.npz", arrays)
        back = read_sealed_npz(run.path / "metrics/base.npz")
        assert {k: (v.dtype, v.shape, v.tobytes()) for k, v in arrays.items()} == {
            k: (v.dtype, v.shape, v.tobytes()) for k, v in back.items()
        }
        with pytest.raises(ValueError, match="Object arrays cannot be saved"):
            run.write_npz("metrics/objects.npz", {"x": np.array([{}])})
        np.savez(run.path / "pickled.npz", x=np.array([{}]))
        (run.path / "plain.pkl").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
        flipped = bytearray((run.path / "metrics/base.npz").read_bytes())
        flipped[flipped.find(b"loss.npy") + len("loss.npy") + 40] ^= 1  # within the compressed array
        (run.path / "flipped.npz").write_bytes(flipped)
        for name in ("pickled.npz", "plain.pkl", "flipped.npz", "missing.npz"):
            with pytest.raises(DamagedState, match=f"cannot read .*{name}"):
                read_sealed_npz(run.path / name)


@pytest.mark.parametrize("name", ["../x.json", "/etc/x.json", "a/../../x.json", "inner/x.json"])
def test_nothing_is_written_outside(name: str, tmp_path: Path) -> None:
    with opened(tmp_path / "run") as run:
        (run.path / "inner").symlink_to(tmp_path)
        with pytest.raises(FolderRefused, match="leads outside"):
            run.write_json(name, {})
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


def test_links_inside_the_folder_are_followed(tmp_path: Path) -> None:
    interrupted(tmp_path / "run")
    (tmp_path / "run" / "latest").symlink_to("manifest.json")
    (tmp_path / "elsewhere").symlink_to(tmp_path / "run")
    with opened(tmp_path / "elsewhere", resume=True) as run:
        assert run.attempt == 2


def test_fingerprint_names_what_decides_the_bits(tmp_path: Path) -> None:
    machine = machine_fingerprint()
    assert machine["numerics"]["jax_default_prng_impl"] == "threefry2x32"
    assert machine["versions"]["jaxlib"] and machine["devices"]["count"] >= 1
    assert json.loads(json.dumps(machine)) == machine == machine_fingerprint()


def test_a_run_that_came_and_went_in_between_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = runs._lock

    def late(folder: Path, held: Any) -> Any:
        monkeypatch.setattr(runs, "_lock", lock)
        interrupted(folder)
        return lock(folder, held)

    monkeypatch.setattr(runs, "_lock", late)
    with pytest.raises(FolderRefused, match="unfinished run"):
        opened(tmp_path / "run")
    assert (read_manifest(tmp_path / "run") or {})["attempt"] == 1


def test_a_system_without_file_locks_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("fcntl", "msvcrt"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in [name for name in sys.modules if name.partition(".")[0] == "portalocker"]:  # loaded, with locks
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(StorageFailed, match="cannot lock .*: no file locks on this system"):
        opened(tmp_path / "run")


def repository(top: Path, project: str, package: Path, tracked: bool = True) -> Path:
    """A git repository with one commit, and a copy of the module of manifests below it."""
    package.mkdir(parents=True)
    (package / "manifest.py").write_text("")
    (top / "pyproject.toml").write_text(f'[project]\nname = "{project}"\n')
    (top / ".gitignore").write_text("" if tracked else ".venv/\n")
    author = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    for command in (("init",), ("add", "."), (*author, "commit", "-m", "first")):
        subprocess.run(["git", *command], cwd=top, check=True, capture_output=True)
    return package


def test_the_commit_is_that_of_rnnjax_alone(tmp_path: Path) -> None:
    own = repository(tmp_path / "own", "rnnjax", tmp_path / "own" / "rnnjax" / "storage")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=own, capture_output=True, text=True, check=True)
    assert git_commit(own) == head.stdout.strip()
    (own / "manifest.py").write_text("changed")
    assert git_commit(own) == head.stdout.strip() + "-dirty"


@pytest.mark.parametrize(("project", "tracked"), [("thesis", True), ("thesis", False), ("rnnjax", False)])
def test_the_commit_of_a_foreign_repository_is_not_taken(project: str, tracked: bool, tmp_path: Path) -> None:
    """As where rnnjax is installed in a virtual environment inside somebody's checkout."""
    place = tmp_path / ".venv" / "lib" / "rnnjax" / "storage"
    assert git_commit(repository(tmp_path, project, place, tracked)) == ""


def test_outside_git_there_is_no_commit(tmp_path: Path) -> None:
    assert git_commit(tmp_path) == ""
    assert (HERE / "manifest.py").exists()


def test_a_folder_that_was_removed_is_not_made_again(tmp_path: Path) -> None:
    with opened(tmp_path / "run") as run:
        shutil.rmtree(tmp_path / "run")
        with pytest.raises(StorageFailed, match=r"run or its \.lock was removed while a study was running in it"):
            run.write_text("report.md", "x")
    assert not (tmp_path / "run").exists()


def test_a_lock_that_was_replaced_is_noticed(tmp_path: Path) -> None:
    with opened(tmp_path / "run") as run:
        run.check_held()
        (tmp_path / "run" / ".lock").rename(tmp_path / "run" / "old")
        (tmp_path / "run" / ".lock").touch()
        with pytest.raises(FolderRefused, match="its .lock is another file now"):
            run.write_text("report.md", "x")
