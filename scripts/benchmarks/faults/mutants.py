"""Guards of rnnjax taken out one by one: the tests that are named for each must fail without it."""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from benchmarks.faults.trial import Trial, Trials

ROOT = Path(__file__).parents[3]
COPIED = ("rnnjax", "scripts", "tests", "configs", "pyproject.toml", "README.md")
SECONDS = 1_200  # of the tests of one mutant
FAILED = 1  # exit code of pytest where a test failed, and not where none was collected


class Mutant(NamedTuple):
    """`old`, which stands once in `file`, becomes `new`."""

    file: str  # below rnnjax/
    old: str
    new: str
    tests: str  # file below tests/
    chosen: str = ""  # of the tests, as pytest's -k


MUTANTS = {
    "no lock": Mutant(
        "storage/run_folder.py",
        "        portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)",
        "        pass",
        "storage/test_run_folder.py",
        "second_opening",
    ),
    "seal of JSON not compared": Mutant(
        "storage/sealed.py",
        "whole = value[SEAL] == json_seal(path.name, body)",
        "whole = True",
        "storage/test_sealed.py",
    ),
    "seal of arrays not compared": Mutant(
        "storage/sealed.py",
        "if seal is not None and str(seal) != array_seal(path.name, arrays):",
        "if False:",
        "storage/test_sealed.py",
    ),
    "seal without the name": Mutant(
        "storage/sealed.py", 'f"{name}\\n{canonical_json(body)}"', "canonical_json(body)", "storage/test_sealed.py"
    ),
    "hash of leaves not compared": Mutant(
        "storage/checkpoints.py",
        "if leaf_digest(values[name]) != entry:",
        "if False:",
        "storage/test_checkpoints.py",
        "damaged or flipped or mutation",
    ),
    "dtype of leaves not compared": Mutant(
        "storage/checkpoints.py",
        "{np.dtype(leaf.dtype).name}\"",
        "{table.get(name, {}).get('dtype')}\"",
        "storage/test_checkpoints.py",
        "other_trees",
    ),
    "older step saved over a newer one": Mutant(
        "storage/checkpoints.py",
        "if (newest := next(iter(self._steps()), -1)) >= step:",
        "if (newest := next(iter(self._steps()), -1)) == -2:",
        "storage/test_checkpoints.py",
        "older_step",
    ),
    "links followed": Mutant(
        "storage/run_folder.py", "if path.is_symlink() and not", "if False and not", "storage/test_run_folder.py", "67"
    ),
    "foreign files accepted": Mutant(
        "storage/run_folder.py", "    if names:\n", "    if False:\n", "storage/test_run_folder.py", "66"
    ),
    "another lock file not noticed": Mutant(
        "storage/run_folder.py",
        "if (there.st_dev, there.st_ino) != (held.st_dev, held.st_ino):",
        "if False:",
        "storage/test_run_folder.py",
        "replaced",
    ),
    "another config accepted": Mutant(
        "storage/manifest.py", "    if changes.others:\n", "    if False:\n", "storage/test_run_folder.py", "64 or 69"
    ),
    "diverged runs trained on": Mutant(
        "training/step.py",
        "alive = state.alive & jnp.isfinite(window.loss)",
        "alive = state.alive | jnp.isfinite(window.loss)",
        "training/test_parallel.py",
        "diverges",
    ),
    "blocks of no fixed width": Mutant(
        "training/parallel.py",
        "self.round_size = width * len(devices)",
        "self.round_size = min(width, runs) * len(devices)",
        "training/test_parallel.py",
        "padding",
    ),
    "ignored signals handled": Mutant(
        "studies/signals.py", "if signal.getsignal(number) is not signal.SIG_IGN", "if True", "studies/test_signals.py"
    ),
    "formulas in CSV cells": Mutant(
        "reports/formatting.py",
        "text[:1] in FORMULA_STARTS and text",
        "False and text",
        "reports/test_render.py",
        "csv",
    ),
    "control characters printed": Mutant(
        "reports/formatting.py",
        "return CONTROLS.sub(lambda found: found[0].encode(\"unicode_escape\").decode(), text)",
        "return text",
        "reports/test_render.py",
        "spelled",
    ),
    "an older network in the place of the last": Mutant(
        "studies/load_networks.py",
        "if saved is not None and step is None and saved[0] != (last or saved[0]):",
        "if False:",
        "faults/test_damage.py",
        "older_network",
    ),
}  # fmt: skip


def mutants_trials(count: int, seed: int, folder: Path) -> Trials:
    """One trial is one mutant."""
    for path in (ROOT / name for name in COPIED):
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, folder / path.name)
    names = list(MUTANTS)
    chosen = names if count >= len(names) else random.Random(seed).sample(names, count)
    for name in chosen:
        yield Trial(name, survivor(MUTANTS[name], folder))


def survivor(mutant: Mutant, folder: Path) -> str:
    """Why a mutant is not refused by its tests; "" where they fail as they should."""
    path = folder / "rnnjax" / mutant.file
    whole = path.read_text()
    if whole.count(mutant.old) != 1:
        return f"{mutant.file} has {whole.count(mutant.old)} times {mutant.old!r}; expected once"
    path.write_text(whole.replace(mutant.old, mutant.new))
    try:
        code, words = run_tests(mutant, folder)
    finally:
        path.write_text(whole)
    return "" if code == FAILED else f"pytest ends with {code}: {words}"


def run_tests(mutant: Mutant, folder: Path) -> tuple[int, str]:
    """Exit code and last words of the tests of a mutant, in one process."""
    options = ["-n", "0", "-x", "-q", "-p", "no:cacheprovider", *(["-k", mutant.chosen] if mutant.chosen else [])]
    command = [sys.executable, "-m", "pytest", *options, f"tests/{mutant.tests}"]
    paths = os.pathsep.join([str(folder), str(folder / "scripts")])
    run = subprocess.run(
        command, cwd=folder, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, timeout=SECONDS,
        check=False,
    )  # fmt: skip
    return run.returncode, run.stdout[-200:]
