"""Checkpoints: what comes back is bitwise what was saved, or it is an error; never something else, never a fresh start.

Every random choice hangs on SEED, which is printed when a test fails.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from flax import struct
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from rnnjax.errors import DamagedState, FolderRefused, StorageFailed
from rnnjax.storage import checkpoints
from rnnjax.storage.checkpoints import Checkpoints
from rnnjax.storage.tree_digest import named_leaves, state_digest

SEED = random.SystemRandom().randrange(2**32)


@struct.dataclass
class State:
    params: Any
    opt_state: Any
    step: Any


def tree_at(step: int) -> State:
    """A training state with every dtype, a leaf without elements and one without axes; all hang on `step`."""
    draw = np.random.default_rng(step)
    cell = {"kernel": draw.normal(size=(4, 24, 64)).astype(np.float32), "bias": np.full((4, 64), step, np.float32)}
    moments = (jax.tree.map(lambda leaf: leaf * 0.5, cell), ())
    record = {"loss": np.where(np.arange(40) < step, np.float32(step), np.float32(np.nan))}
    key = draw.integers(2**32, size=(4, 2), dtype=np.uint32)
    return State({"cell": cell, "none": np.zeros((4, 0), np.float32), "key": key, "record": record},
                 (moments, {"alive": draw.random(4) < 0.5}), np.int32(step) + np.zeros((), np.int32))  # fmt: skip


DIGESTS = {step: state_digest(tree_at(step)) for step in range(0, 2000, 20)}


@pytest.fixture(scope="module")
def three_steps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pristine") / "group"
    with Checkpoints(folder) as saved:
        for step in (360, 380, 400):
            saved.save(step, tree_at(step))
    return folder


@pytest.fixture
def folder(three_steps: Path, tmp_path: Path) -> Path:
    """A copy of a folder with the good steps 360, 380 and 400."""
    return Path(shutil.copytree(three_steps, tmp_path / "group"))


def restored(folder: Path, like: Any = None) -> tuple[int | None, list[str]]:
    """The step restored, with the proof that its tree is the one saved, and the notes; None for a fresh start."""
    notes: list[str] = []
    with Checkpoints(folder, note=notes.append) as saved:
        found = saved.restore(tree_at(0) if like is None else like)
    if found is None:
        return None, notes
    assert state_digest(found[1]) == DIGESTS[found[0]], f"silently wrong, seed {SEED}"
    return found[0], notes


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# -- saving and restoring


def test_what_comes_back_is_bitwise_what_was_saved(folder: Path) -> None:
    with Checkpoints(folder) as saved:
        found = saved.restore(jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), tree_at(0)))
    assert found is not None
    step, tree = found
    assert step == 400 and state_digest(tree) == DIGESTS[400]
    assert isinstance(tree, State) and isinstance(tree.opt_state[0], tuple)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(tree))
    assert restored(folder) == (400, [])


def test_sharded_leaves_come_back_sharded(tmp_path: Path) -> None:
    devices = jax.devices()
    if len(devices) < 2:
        pytest.skip("needs two devices (JAX_NUM_CPU_DEVICES=2)")
    per_run = NamedSharding(Mesh(np.array(devices[:2]), ("runs",)), PartitionSpec("runs"))
    tree = {"x": jax.device_put(jnp.arange(8, dtype=jnp.int32), per_run)}
    with Checkpoints(tmp_path) as saved:
        saved.save(1, tree)
        like = {"x": jax.ShapeDtypeStruct((8,), jnp.int32, sharding=per_run)}
        for found in (saved.restore(like), saved.restore(tree)):
            assert (
                found is not None and found[1]["x"].sharding == per_run and state_digest(found[1]) == state_digest(tree)
            )


def test_nothing_saved_is_none_and_makes_nothing(tmp_path: Path) -> None:
    assert restored(tmp_path / "new") == (None, [])
    assert names(tmp_path) == set()


def test_only_the_newest_steps_are_kept(tmp_path: Path) -> None:
    with Checkpoints(tmp_path, keep=2) as saved:
        for step in (0, 20, 100, 1000):
            saved.save(step, tree_at(step))
    assert names(tmp_path) == {"100", "1000"}


@pytest.mark.slow
@pytest.mark.parametrize("step", [0, 380, 400])
def test_an_older_step_is_not_silently_skipped(step: int, folder: Path) -> None:
    with Checkpoints(folder) as saved, pytest.raises(StorageFailed, match=r"cannot save step .*step 400 is there"):
        saved.save(step, tree_at(step))
    assert names(folder) == {"360", "380", "400"}


def test_digest_tells_any_difference() -> None:
    def changes() -> Iterator[Any]:
        yield {"a": np.zeros(2, np.float32)}
        yield {"b": np.zeros(2, np.float32)}
        yield {"a": np.zeros((2, 1), np.float32)}
        yield {"a": np.zeros(2, np.int32)}
        yield {"a": np.array([0.0, -0.0], np.float32)}
        yield {"a": np.zeros(2, np.float32), "c": np.zeros(0, np.float32)}
        yield {"a": {"a": np.zeros(2, np.float32)}}

    assert len({state_digest(tree) for tree in changes()}) == 7
    fortran = np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3))
    assert (
        state_digest({"a": jnp.asarray(fortran)}) == state_digest({"a": fortran}) == state_digest({"a": fortran.copy()})
    )


# -- damage


def flip(file: Path, draw: random.Random) -> None:
    raw = bytearray(file.read_bytes() or b"\0")
    raw[draw.randrange(len(raw))] ^= 1 << draw.randrange(8)
    file.write_bytes(raw)


def truncate(file: Path, draw: random.Random) -> None:
    file.write_bytes(file.read_bytes()[: draw.randrange(file.stat().st_size + 1)])


def zero(file: Path, draw: random.Random) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def delete(file: Path, draw: random.Random) -> None:
    file.unlink()


def delete_folder(file: Path, draw: random.Random) -> None:
    shutil.rmtree(file.parent if not file.parent.name.isdigit() else file.parent / "state")  # not the whole step


def swap(file: Path, draw: random.Random) -> None:
    step_folder = next(path for path in file.parents if path.name.isdigit())
    other = draw.choice([path for path in sorted(step_folder.parent.rglob("*")) if path.is_file() and path != file])
    mine, theirs = file.read_bytes(), other.read_bytes()
    file.write_bytes(theirs)
    other.write_bytes(mine)


MUTATIONS: list[Callable[[Path, random.Random], None]] = [flip, flip, flip, truncate, zero, delete, delete_folder, swap]


@pytest.mark.slow
@pytest.mark.parametrize("mutate", range(8), ids=lambda i: f"{i}-{MUTATIONS[i].__name__}")
def test_no_mutation_is_silently_wrong_or_a_fresh_start(mutate: int, three_steps: Path, tmp_path: Path) -> None:
    draw = random.Random(SEED + mutate)
    for i in range(8):
        folder = Path(shutil.copytree(three_steps, tmp_path / str(i)))
        file = draw.choice(sorted(path for path in (folder / "400").rglob("*") if path.is_file()))
        MUTATIONS[mutate](file, draw)
        step, notes = restored(folder)
        assert step in DIGESTS, f"fresh start after {MUTATIONS[mutate].__name__} of {file}, seed {SEED}"
        assert (step == 400) == (notes == []), f"{step} {notes}, seed {SEED}"


def big_file(step_folder: Path) -> Path:
    return max((path for path in step_folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def damage(step_folder: Path) -> None:
    """Flips bits among the numbers: the damage that orbax does not see. Three, as one may meet a byte nobody reads."""
    file = big_file(step_folder)
    raw = bytearray(file.read_bytes())
    for tenth in (4, 5, 6):
        raw[len(raw) * tenth // 10] ^= 1
    file.write_bytes(raw)


def test_a_damaged_step_is_set_aside_with_a_note_row_72(folder: Path) -> None:
    damage(folder / "400")
    step, (note,) = restored(folder)
    assert step == 380
    assert note.startswith("step 400: leaf ") and note.endswith(" damaged; using step 380; moved to 400.damaged")
    assert names(folder) == {"360", "380", "400.damaged"}
    with Checkpoints(folder) as saved:
        saved.save(400, tree_at(400))
    assert restored(folder) == (400, [])
    damage(folder / "400")
    assert "moved to 400.damaged.2" in restored(folder)[1][0]


def test_two_damaged_steps(folder: Path) -> None:
    damage(folder / "400")
    shutil.rmtree(folder / "380" / "state")  # a kill during the deletion of an old step
    step, notes = restored(folder)
    assert step == 360 and [note[:8] for note in notes] == ["step 400", "step 380"]
    assert names(folder) == {"360", "380.damaged", "400.damaged"}


def test_all_damaged_is_an_error_and_stays_one_row_73(folder: Path) -> None:
    for step in (360, 380, 400):
        damage(folder / str(step))
    for _ in range(2):
        with pytest.raises(
            DamagedState, match=r"no checkpoint in .* verifies; step 400: leaf .*; step 380: .*; step 360"
        ):
            restored(folder)
    for step in (360, 380, 400):
        (folder / str(step)).rename(folder / f"{step}.damaged")
    with pytest.raises(DamagedState, match=r"no checkpoint in .* verifies"):
        restored(folder)


def test_what_a_kill_leaves_behind_is_cleared(folder: Path) -> None:
    shutil.copytree(folder / "400", folder / "420.orbax-checkpoint-tmp")
    shutil.copytree(folder / "400", folder / "410.orbax-checkpoint-tmp")
    assert restored(folder) == (400, [])
    with Checkpoints(folder) as saved:
        saved.save(420, tree_at(420))
    assert names(folder) == {"380", "400", "420"} and restored(folder) == (420, [])


def test_folders_that_only_look_like_steps_row_74(folder: Path) -> None:
    (folder / "9000").mkdir()
    (folder / "500").mkdir()
    (folder / "500" / "photo.jpg").write_text("mine")
    (folder / "007").mkdir()
    step, notes = restored(folder)
    assert step == 400
    assert notes == [f"{folder}/{name} is not a checkpoint of rnnjax; skipped" for name in ("500", "9000")]
    with Checkpoints(folder, keep=1, note=notes.append) as saved:
        saved.save(420, tree_at(420))
        saved.save(500, tree_at(500))
    assert notes[2:] == [f"{folder}/500 is not a checkpoint of rnnjax; moved to 500.foreign"]
    assert names(folder) == {"500", "500.foreign", "9000", "007"}
    assert (folder / "500.foreign" / "photo.jpg").read_text() == "mine"


def test_a_renamed_step_is_not_taken_for_another(folder: Path) -> None:
    (folder / "400").rename(folder / "440")
    step, (note,) = restored(folder)
    assert step == 380 and note.startswith("step 440: holds step 400")


# -- other trees, other formats, ways out


def without_bias(tree: State) -> State:
    return tree.replace(params={**tree.params, "cell": {"kernel": tree.params["cell"]["kernel"]}})


def with_kernel(kernel: np.ndarray) -> Callable[[State], State]:
    return lambda tree: tree.replace(params={**tree.params, "cell": {**tree.params["cell"], "kernel": kernel}})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            with_kernel(np.zeros((4, 24, 128), np.float32)),
            "kernel (4, 24, 64) float32, config says (4, 24, 128) float32",
        ),
        (with_kernel(np.zeros((4, 24, 64), np.int32)), "kernel (4, 24, 64) float32, config says (4, 24, 64) int32"),
        (with_kernel(np.zeros((4, 24, 64), np.float16)), "kernel (4, 24, 64) float32, config says (4, 24, 64) float16"),
        (without_bias, "bias (4, 64) float32, config says no such leaf"),
        (lambda tree: tree.replace(step={"new": tree.step}), "step () int32, config says no such leaf"),
    ],
)
def test_other_trees_are_refused_rows_69_and_70(change: Callable[[State], State], message: str, folder: Path) -> None:
    with pytest.raises(FolderRefused) as raised:
        restored(folder, change(tree_at(0)))
    assert str(raised.value).startswith("checkpoint has ") and message in str(raised.value)
    assert names(folder) == {"360", "380", "400"}


def test_a_newer_format_is_refused_row_75(folder: Path) -> None:
    path = folder / "400" / "checks" / "metadata"
    checks = json.loads(path.read_text())
    del checks["seal"]
    path.write_text(json.dumps(checkpoints._seal_metadata({**checks, "format": checkpoints.FORMAT + 1})))
    with pytest.raises(DamagedState, match="step 400 was written by a newer rnnjax"):
        restored(folder)
    assert names(folder) == {"360", "380", "400"}


def test_damaged_checks_are_not_believed(folder: Path) -> None:
    """Not even that they are of a newer format: that error is no reason to walk on, damage is."""
    path = folder / "400" / "checks" / "metadata"
    path.write_text(path.read_text().replace(f'"format": {checkpoints.FORMAT}', '"format": 9'))
    step, (note,) = restored(folder)
    assert step == 380 and note.startswith("step 400: checks damaged; using step 380")


@pytest.mark.parametrize("target", ["400", "400/state", "400/state/_METADATA"])
def test_links_are_not_followed_row_77(target: str, folder: Path, tmp_path: Path) -> None:
    (folder / target).rename(tmp_path / "outside")
    (folder / target).symlink_to(tmp_path / "outside")
    with pytest.raises(DamagedState, match="is a link; a checkpoint never leads outside its folder"):
        restored(folder)


@pytest.mark.parametrize("name", ["../../../outside/step", "{outside}/step"])
def test_metadata_does_not_lead_outside_row_77(name: str, folder: Path, tmp_path: Path) -> None:
    """A leaf with the very bytes that the checks expect lies outside, so that only the way there can be wrong."""
    plain_files = ocp.Checkpointer(ocp.PyTreeCheckpointHandler(use_ocdbt=False))
    plain_files.save(tmp_path / "outside", {"step": tree_at(400).step})
    shutil.rmtree(folder / "400" / "state")
    leaves = {name: leaf for name, leaf in named_leaves(tree_at(400)).items() if leaf.size}
    plain_files.save(folder / "400" / "state", leaves)
    assert restored(folder) == (400, [])  # the layout in which names are paths is read too
    metadata = folder / "400" / "state" / "_METADATA"
    outside = name.format(outside=tmp_path / "outside")
    renamed = metadata.read_text().replace("('step',)", f"('{outside}',)")
    metadata.write_text(renamed.replace('"key": "step"', f'"key": "{outside}"'))
    shutil.rmtree(folder / "400" / "state" / "step")
    step, (note,) = restored(folder)
    assert step == 380 and note.startswith("step 400: state cannot be read")


# -- kills and full disks

SAVER = """
import os, sys, random, signal, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_checkpoints import Checkpoints, state_digest, tree_at, DIGESTS
draw = random.Random(int(sys.argv[3]))

def save_until_killed(answer):
    with Checkpoints(Path(sys.argv[1])) as saved:
        step, tree = saved.restore(tree_at(0)) or (0, tree_at(0))
        os.write(answer, f"restored {step} {state_digest(tree) == DIGESTS[step]}\\n".encode())
        while True:
            step += 20
            saved.save(step, tree_at(step))
            os.write(answer, f"saved {step} True\\n".encode())

for _ in range(6):  # a fork of a process that has not started JAX saves the seconds that importing it takes
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        save_until_killed(writer)
    os.close(writer)
    with os.fdopen(reader) as answers:
        lines = [answers.readline() for _ in range(draw.randint(1, 5))]
        time.sleep(draw.uniform(0, 0.1))
        os.kill(child, signal.SIGKILL)
        lines += answers.readlines()
    os.waitpid(child, 0)
    print("".join(lines) + "killed", flush=True)
"""


@pytest.mark.slow
def test_no_acknowledged_step_is_lost_by_a_kill(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SAVER, str(tmp_path / "group"), str(Path(__file__).parent), str(SEED)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert said.returncode == 0 and said.stdout.count("killed") == 6, (SEED, said.stderr[-2000:])
    acknowledged = 0
    for line in said.stdout.replace("killed\n", "").splitlines():
        word, step, good = line.split()
        assert good == "True", f"silently wrong, seed {SEED}"
        assert int(step) - acknowledged in ((0, 20) if word == "restored" else (20,)), (line, SEED)
        acknowledged = int(step)
    step, _ = restored(tmp_path / "group")
    assert step is not None and 0 < acknowledged <= step <= acknowledged + 20, SEED


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no permission to mount: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("free", [0, 8, 24, 48, 64])
def test_a_full_disk_is_named_and_costs_no_good_step(
    free: int, small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, ballast = small_disk / "group", small_disk / "ballast"
    with Checkpoints(folder) as saved:
        saved.save(380, tree_at(380))
        room = shutil.disk_usage(small_disk).free
        ballast.write_bytes(bytes(max(0, room - free * 1024)))
        started = time.monotonic()
        with pytest.raises(StorageFailed) as raised:
            saved.save(400, tree_at(400))
        assert str(raised.value) == f"cannot save step 400 to {folder}: No space left on device"
        assert time.monotonic() - started < 10 and names(folder) == {"380"}
        assert restored(folder) == (380, [])
        ballast.unlink()
        saved.save(400, tree_at(400))
    assert restored(folder) == (400, [])
    assert not [record for record in caplog.records if record.exc_info]


def test_a_read_only_disk_is_named(small_disk: Path) -> None:
    with Checkpoints(small_disk / "group") as saved:
        saved.save(380, tree_at(380))
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
        with pytest.raises(StorageFailed, match=r"cannot save step 400 to .*: Read-only file system"):
            saved.save(400, tree_at(400))
    assert restored(small_disk / "group") == (380, [])


def test_a_folder_that_cannot_be_made_holds_up_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Orbax's threads wait minutes for it; the process must not wait for them when it ends."""
    mkdir, before = os.mkdir, set(threading.enumerate())

    def failing(path: Any, *arguments: Any, **named: Any) -> None:
        if "orbax-checkpoint-tmp" in str(path):
            raise OSError(5, "Input/output error")
        mkdir(path, *arguments, **named)

    with Checkpoints(tmp_path) as saved:
        saved.save(380, tree_at(380))
        with monkeypatch.context() as patched:
            patched.setattr(os, "mkdir", failing)
            with pytest.raises(StorageFailed, match=r"cannot save step 400 to .*: Input/output error"):
                saved.save(400, tree_at(400))
        left = set(threading.enumerate()) - before
        assert all(thread.daemon for thread in left), left
        saved.save(420, tree_at(420))
    assert restored(tmp_path) == (420, [])


def test_a_disk_error_before_the_first_write_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Checkpoints(tmp_path) as saved:
        saved.save(380, tree_at(380))
        with monkeypatch.context() as patched:
            patched.setattr(
                Path, "mkdir", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left on device"))
            )
            with pytest.raises(StorageFailed, match=r"cannot save step 400 to .*: No space left on device"):
                saved.save(400, tree_at(400))
    assert restored(tmp_path) == (380, [])
