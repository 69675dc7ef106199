"""Damage to the files of a run folder: every reader answers as before, or refuses in one line."""

import json
import random
import shutil
import string
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

from benchmarks.faults import studies
from benchmarks.faults.studies import READERS, SLOW_READERS, Reader, differences, finish, killed_after, small_study
from benchmarks.faults.trial import Trial, Trials, describe_error
from rnnjax.config.schema import Study
from rnnjax.errors import RnnjaxError

SLOW_EVERY = {"read_sample": 5, "read_judged": 10, "read_diagnosis": 25}  # trials of a finished folder
RESUMED_EVERY = 20  # of the corruptions one is of an interrupted run that then goes on
STRETCH = 8  # bytes that are set to zero


# Damage, each a function of a file and a random generator


def flip(path: Path, rng: random.Random) -> None:
    raw = bytearray(path.read_bytes() or b"\0")
    raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    path.write_bytes(raw)


def cut(path: Path, rng: random.Random) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[: rng.randrange(len(raw) + 1)])


def blank(path: Path, rng: random.Random) -> None:
    """A stretch of zeros, as of a block that was never written."""
    raw = bytearray(path.read_bytes())
    at = rng.randrange(len(raw) + 1)
    raw[at : at + STRETCH] = bytes(len(raw[at : at + STRETCH]))
    path.write_bytes(raw)


def zero(path: Path, rng: random.Random) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def delete(path: Path, rng: random.Random) -> None:
    path.unlink()


def delete_folder(path: Path, rng: random.Random) -> None:
    """The folder of the file; of one at the top the file alone."""
    if (path.parent / "manifest.json").exists():
        path.unlink()
    else:
        shutil.rmtree(path.parent)


def double(path: Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes() * 2)


def swap(path: Path, rng: random.Random) -> None:
    """Two files of the run change places."""
    root = next(above for above in path.parents if (above / "study.json").exists())
    other = rng.choice([each for each in all_files(root) if each != path])
    mine, theirs = path.read_bytes(), other.read_bytes()
    path.write_bytes(theirs)
    other.write_bytes(mine)


DAMAGE = (flip, flip, flip, cut, blank, zero, delete, delete_folder, double, swap)


def all_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")


def json_files(folder: Path) -> list[Path]:
    """The files that are JSON, by their content."""

    def is_json(path: Path) -> bool:
        try:
            return isinstance(json.loads(path.read_bytes()), dict)
        except ValueError:
            return False

    return [path for path in all_files(folder) if is_json(path)]


def change_letter(path: Path, rng: random.Random) -> str:
    """Another letter or digit in the place of one. Returns: where, in words."""
    whole = path.read_text()
    at = rng.choice([i for i, letter in enumerate(whole) if letter.isalnum()])
    other = rng.choice([c for c in string.ascii_letters + string.digits if c != whole[at]])
    path.write_text(whole[:at] + other + whole[at + 1 :])
    return f"{whole[max(at - 20, 0) : at + 20]!r} with {other!r} at {at}"


# Answers


def wrong_answer(folder: Path, readers: Sequence[Reader], right: Callable[[Reader], str]) -> str:
    """The first reader that neither gives the right answer nor refuses; "" for none."""
    for reader in readers:
        try:
            if reader(folder) != right(reader):
                return f"{reader.__name__} gives another answer"
        except RnnjaxError as error:
            if "\n" in str(error):
                return f"{reader.__name__} refuses in several lines: {describe_error(error)}"
        except Exception as error:
            return f"{reader.__name__} ends with {describe_error(error)}"
    return ""


def readers_of(number: int) -> list[Reader]:
    """The readers of the trial of a number: the quick ones, and in turns the slow ones."""
    return [*READERS, *(reader for reader in SLOW_READERS if (number + 1) % SLOW_EVERY[reader.__name__] == 0)]


def finished_study(folder: Path) -> tuple[Path, Callable[[Reader], str]]:
    """A finished run folder, and the answers of its readers, each read once."""
    whole = studies.run_quietly(small_study(folder), folder / "whole")
    return whole, cache(lambda reader: reader(whole))


def copies(whole: Path, count: int) -> Iterator[tuple[int, Path]]:
    """(number, a fresh copy of a run folder), one after the other."""
    copy = whole.with_name("out")
    for number in range(count):
        shutil.rmtree(copy, ignore_errors=True)
        yield number, Path(shutil.copytree(whole, copy))


def letters_trials(count: int, seed: int, folder: Path) -> Trials:
    """One letter of a JSON file changed."""
    rng = random.Random(seed)
    whole, right = finished_study(folder)
    names = [path.relative_to(whole) for path in json_files(whole)]
    top = [name for name in names if len(name.parts) == 1]
    for number, copy in copies(whole, count):
        name = rng.choice(top if rng.random() < 0.7 else names)
        place = change_letter(copy / name, rng)
        lost = wrong_answer(copy, readers_of(number), right)
        yield Trial(str(name) if name in top else "of a checkpoint", lost and f"{name}: {place}: {lost}")


def corruptions_trials(count: int, seed: int, folder: Path) -> Trials:
    """Any file damaged in any way."""
    with studies.shared_programs():
        yield from corrupted(count, random.Random(seed), folder)


def corrupted(count: int, rng: random.Random, folder: Path) -> Trials:
    """The trials of `corruptions_trials`."""
    whole, right = finished_study(folder)
    half = killed_after(small_study(folder), folder / "half", studies.SETTINGS["save_every"])
    for number, copy in copies(whole, count):
        if resumed := number % RESUMED_EVERY == RESUMED_EVERY - 1:
            shutil.rmtree(copy)
            shutil.copytree(half, copy)
        path, damage = rng.choice(all_files(copy)), rng.choice(DAMAGE)
        damage(path, rng)
        where = f"{damage.__name__} {path.relative_to(copy)}"
        lost = wrong_end(small_study(folder), copy, whole) if resumed else wrong_answer(copy, readers_of(number), right)
        yield Trial(f"{damage.__name__}, resumed" if resumed else damage.__name__, lost and f"{where}: {lost}")


def wrong_end(study: Study, folder: Path, whole: Path) -> str:
    """How a resumed run ends otherwise than the whole one; "" where it ends as that one or is refused."""
    try:
        studies.run_quietly(study, folder, resume=True)
    except RnnjaxError:
        return ""
    except Exception as error:
        return f"ends with {describe_error(error)}"
    return "; ".join(differences(folder, whole))


def resumed_equals(study: Study, folder: Path, whole: Path) -> str:
    """What differs from the whole study after a folder was gone on with to its end; "" for nothing."""
    try:
        return "; ".join(differences(finish(study, folder), whole))
    except Exception as error:
        return f"cannot go on: {describe_error(error)}"
