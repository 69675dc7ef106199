"""A finished run folder in which something was changed: every reader gives the same answer as before, or refuses."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.faults.studies import READERS, run_quietly, small_study
from rnnjax.errors import DamagedState, FolderRefused, RnnjaxError
from rnnjax.storage.run_folder import hold_for_writing
from rnnjax.studies.load_networks import load_network
from rnnjax.studies.load_results import load_results

JSON_FILES = ("manifest.json", "study.json", "summary.json", "page.json")
LETTERS = 25  # changed in each file


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of two arms with two seeds, and its checkpoints of steps 20 and 40."""
    place = tmp_path_factory.mktemp("damage")
    return run_quietly(small_study(place), place / "out")


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "out"))


@pytest.mark.parametrize("name", JSON_FILES)
def test_a_changed_letter_changes_no_answer(name: str, folder: Path, copy: Path) -> None:
    right = [read(folder) for read in READERS]
    path, rng = copy / name, random.Random(name)
    whole, refused = path.read_text(), 0
    places = [place for place, letter in enumerate(whole) if letter.isalnum()]
    for place in rng.sample(places, LETTERS):
        other = rng.choice([c for c in "0123456789abcxyzAZ" if c != whole[place]])
        path.write_text(whole[:place] + other + whole[place + 1 :])
        for read, answer in zip(READERS, right, strict=True):
            try:
                assert read(copy) == answer, f"{name}: {whole[place - 20 : place + 20]!r} with {other!r}"
            except RnnjaxError:
                refused += 1
    assert refused >= LETTERS / 2, "each file is believed by a reader"


def test_an_array_with_another_name_is_refused(copy: Path) -> None:
    path = copy / "metrics" / "group-0.npz"
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"seed.npy", b"sead.npy"))
    with pytest.raises(DamagedState, match=r"group-0\.npz was damaged or changed"):
        load_results(copy)


def damage_step(folder: Path, step: int) -> None:
    """Change one byte in the largest file of each checkpoint of a step."""
    for checkpoint in folder.glob(f"checkpoints/*/{step}"):
        path = max((path for path in checkpoint.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
        raw = bytearray(path.read_bytes())
        raw[len(raw) // 2] ^= 1
        path.write_bytes(raw)


@pytest.mark.parametrize(
    "change", [damage_step, lambda folder, step: shutil.rmtree(folder / f"checkpoints/group-0/{step}")]
)
def test_an_older_network_does_not_take_the_place_of_the_last(change: Callable[[Path, int], None], copy: Path) -> None:
    change(copy, 40)
    with pytest.raises(DamagedState, match="the last checkpoint, of step 40, is damaged or missing; .* is of step 20$"):
        load_network(copy, None, None)
    assert load_network(copy, None, None, step=20).step == 20


def test_a_run_that_goes_on_says_which_step_it_reads(copy: Path, caplog: pytest.LogCaptureFixture) -> None:
    (copy / "DONE.json").unlink()
    damage_step(copy, 40)
    assert load_network(copy, None, None).step == 20
    assert "step 40: " in caplog.text and "using step 20" in caplog.text


def test_nothing_is_written_through_a_link(copy: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.move(copy / "tables", elsewhere)
    (copy / "tables").symlink_to(elsewhere)
    with pytest.raises(FolderRefused, match="refuses to follow tables, which leads to"), hold_for_writing(copy):
        pass


def test_nothing_is_written_beside_a_study(copy: Path) -> None:
    with hold_for_writing(copy), pytest.raises(FolderRefused, match="in use by"), hold_for_writing(copy):
        pass


def test_a_seal_is_of_the_file_as_it_is_read(folder: Path) -> None:
    for name in JSON_FILES:
        assert "seal" in json.loads((folder / name).read_text()), name
