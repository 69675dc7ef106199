"""The trials of scripts/faults.py with small numbers: none may be lost. A failure names its random seed."""

import argparse
import json
import os
import secrets
from pathlib import Path

import pytest

from benchmarks.faults import command, damage, results, studies
from benchmarks.faults.kinds import KINDS, Kind
from benchmarks.faults.mutants import MUTANTS
from benchmarks.faults.trial import Trial
from benchmarks.faults.trial import Trials as TrialIterator
from rnnjax.storage import sealed

SEED = secrets.randbits(32)
KILLS = int(os.environ.get("RNNJAX_KILLS", "3"))
IN_THIS_PROCESS = {"corruptions": 15, "configs": 300, "corpora": 300, "tables": 200, "disks": 3}


def lost(name: str, count: int, folder: Path) -> list[str]:
    """What was lost in the trials of a kind."""
    trials = list(KINDS[name].trials(name)(count, SEED, folder))
    assert len(trials) >= count, "fewer were tried than was asked for"
    return [f"{trial.test}: {trial.lost}, seed {SEED}" for trial in trials if trial.lost]


@pytest.mark.slow
@pytest.mark.optimised
@pytest.mark.filterwarnings("ignore")  # of NumPy, about generated numbers and damaged files
@pytest.mark.parametrize("name", IN_THIS_PROCESS)
def test_nothing_is_lost(name: str, tmp_path: Path) -> None:
    assert lost(name, IN_THIS_PROCESS[name], tmp_path) == []


@pytest.mark.slow
@pytest.mark.optimised
@pytest.mark.parametrize(("name", "count"), [("kills", KILLS), ("races", 5)])
def test_nothing_is_lost_between_processes(name: str, count: int, tmp_path: Path) -> None:
    assert lost(name, count, tmp_path) == []


@pytest.mark.slow
@pytest.mark.optimised
@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("name", "count"), [("signals", 6), ("divergences", 8), ("regroupings", 50), ("endurance", 20)]
)
def test_nothing_is_lost_in_a_release(name: str, count: int, tmp_path: Path) -> None:
    assert lost(name, count, tmp_path) == []


def test_every_guard_that_a_mutant_lacks_is_there() -> None:
    for name, mutant in MUTANTS.items():
        text = (results.ROOT / "rnnjax" / mutant.file).read_text()
        assert text.count(mutant.old) == 1, name
        compile(text.replace(mutant.old, mutant.new), name, "exec")
        assert (results.ROOT / "tests" / mutant.tests).is_file(), name
    assert len(MUTANTS) >= KINDS["mutants"].full


def test_every_kind_has_its_trials() -> None:
    for name, kind in KINDS.items():
        assert callable(kind.trials(name)) and 0 < kind.quick < kind.full


@pytest.mark.slow
def test_a_reader_that_compares_no_seal_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Teeth: the trials find what is silently wrong."""
    monkeypatch.setattr(sealed, "json_seal", lambda name, body: "0" * 64)
    monkeypatch.setattr(damage, "SLOW_READERS", ())
    trials = list(damage.letters_trials(30, 1, tmp_path))
    assert any("gives another answer" in trial.lost for trial in trials)


def test_a_study_that_differs_is_noticed(tmp_path: Path) -> None:
    for name, text in (("one", "1"), ("other", "2")):
        (tmp_path / name / "metrics").mkdir(parents=True)
        (tmp_path / name / "manifest.json").write_text(json.dumps({"state_sha256": text}))
        (tmp_path / name / "summary.json").write_text(text)
        sealed.write_sealed_npz(tmp_path / name / "metrics" / "group-0.npz", {"loss": studies.np.array([float(text)])})
    assert studies.differences(tmp_path / "one", tmp_path / "other") == ["loss", "state_sha256", "summary.json"]
    assert studies.differences(tmp_path / "one", tmp_path / "one") == []


# The command


def asked(file: Path, *options: str) -> argparse.Namespace:
    return command.arguments(["--json", str(file), "--count", "4", *options])


class Made(Kind):
    """A kind whose every third trial is lost."""

    def trials(self, name: str) -> object:  # type: ignore[override]
        def some(count: int, seed: int, folder: Path) -> TrialIterator:
            del seed, folder
            for i in range(count):
                yield Trial("a" if i % 2 else "b", f"trial {i}" if i % 3 == 2 else "", {"seconds": float(i)})

        return some


def test_results_are_counted_replaced_and_added(tmp_path: Path) -> None:
    file, kind = tmp_path / "faults.json", Made("p", 100)
    command.try_kind("races", kind, asked(file), 7)
    command.try_kind("letters", kind, asked(file), 8)
    found = results.read_results(file)
    assert list(found) == ["letters", "races"], "in the order of the kinds"
    entry = found["races"]
    assert [entry[name] for name in ("asked", "tried", "survived", "lost", "seeds")] == [100, 4, 3, 1, [7]]
    assert entry["tests"] == {
        "b": {"tried": 2, "survived": 1, "lost": 1},
        "a": {"tried": 2, "survived": 2, "lost": 0},
    }
    assert entry["figures"] == {"b": {"seconds": 2.0}, "a": {"seconds": 3.0}}
    assert entry["what_was_lost"] == ["b: trial 2"] and len(entry["commits"]) == 1
    command.try_kind("races", kind, asked(file), 9)
    assert results.read_results(file)["races"]["seeds"] == [9], "replaced"
    command.try_kind("races", kind, asked(file, "--add"), 10)
    entry = results.read_results(file)["races"]
    assert [entry[name] for name in ("tried", "survived", "lost", "seeds")] == [8, 6, 2, [9, 10]]
    assert entry["tests"]["a"] == {"tried": 4, "survived": 4, "lost": 0}
    table = file.with_suffix(".md").read_text()
    assert "| races | of several processes" in table and "| 100 | 8 | 6 | 2 |" in table


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--only", "x"], "--only: got 'x'"), (["--json", "/nowhere/x.json"], "an existing folder")],
)
def test_a_bad_option_is_refused(options: list[str], message: str) -> None:
    with pytest.raises(command.BadInput, match=message):
        command.arguments(options)
