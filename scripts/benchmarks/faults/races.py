"""Two or ten processes that open one folder at the same moment: one has it, the others are refused at once."""

import time
from pathlib import Path
from typing import Any

from benchmarks.faults import processes
from benchmarks.faults.trial import Trial, Trials
from rnnjax.errors import FolderRefused, RnnjaxError
from rnnjax.storage.run_folder import open_run

FEW, MANY = 2, 10
MANY_EVERY = 5  # races
LIMIT = 2.0  # seconds until a process is refused


def race(folder: Path, number: int, start: Any, end: Any, answers: Any) -> None:
    """One process: wait for the others, open the folder, tell (exit code, seconds, core-seconds, words)."""
    start.wait()
    begun, cores = time.monotonic(), time.process_time()
    try:
        with open_run(folder, {}, {}, resume=False) as run:
            (folder / f"{number}.txt").write_text("mine")
            answers.put((0, 0.0, 0.0, f"attempt {run.attempt}"))
            end.wait()
            run.done()
    except RnnjaxError as error:
        answers.put((error.exit_code, time.monotonic() - begun, time.process_time() - cores, str(error)))


def races_trials(count: int, seed: int, folder: Path) -> Trials:
    """One trial is one race; the order of the processes is the system's."""
    del seed
    for number in range(count):
        yield one_race(folder / f"run{number}", MANY if number % MANY_EVERY == MANY_EVERY - 1 else FEW)


def one_race(folder: Path, racers: int) -> Trial:
    """Start the processes, let them go together, and compare their answers."""
    server = processes.SERVER
    start, end, answers = server.Barrier(racers), server.Event(), server.Queue()
    children = [server.Process(target=race, args=(folder, i, start, end, answers)) for i in range(racers)]
    for child in children:
        child.start()
    found = [answers.get(timeout=processes.LONGEST_WAIT) for _ in children]
    for child in children:
        processes.core_seconds(child)
    end.set()
    for child in children:
        child.join()
    codes, slowest = sorted(code for code, *_ in found), max(min(wall, cores) for _, wall, cores, _ in found)
    lost = f"exit codes {codes}: {found}" if codes != [0, *[FolderRefused.exit_code] * (racers - 1)] else ""
    lost = lost or (f"refused after {slowest:.1f} s" if slowest > LIMIT else "")
    lost = lost or (f"files {written}" if len(written := sorted(folder.glob("*.txt"))) != 1 else "")
    return Trial(f"{racers} processes", lost, {"seconds": max(wall for _, wall, _, _ in found)})
