"""Large studies, each in a process of its own: peak memory, and seconds of compiling, training, writing, reporting."""

import json
import resource
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.faults import processes
from benchmarks.faults.trial import Trial, Trials

REPORT_LIMIT = 10.0  # core-seconds for the report of 100 arms
PARTS = ("compile", "train", "probe", "io", "report")


class Size(NamedTuple):
    """A study of this size; its arms differ in their learning rate."""

    arms: int
    seeds: int
    base: str = "hidden = 4\nwindow = 5\nsteps = 20\nlog_every = 20\nblock = 16\ntask.characters = 400\n"
    open_files: int = 1_024  # limit of the process
    report_again: bool = False  # and time it


LARGE = "hidden = 1024\nwindow = 16\nsteps = 10\nlog_every = 10\ntask.characters = 400\n"
LONG = 'cell = "lstm"\nhidden = 32\nwindow = 2000\nsteps = 10\nlog_every = 10\ntask.characters = 5000\n'
SIZES = {  # cheap ones first
    "one arm, for comparison": Size(1, 2),
    "report of 100 arms": Size(100, 4, report_again=True),
    "H = 1,024, default block": Size(2, 2, LARGE),
    "LSTM, T = 2,000": Size(1, 2, LONG),
    "1,000 arms": Size(1_000, 1, open_files=256),
    "20,000 runs": Size(1_000, 20),
}


def study_text(size: Size) -> str:
    rates = [round(0.001 + 0.0001 * i, 4) for i in range(size.arms)]
    axis = f"[[axes]]\nlearning_rate = {rates}\n" if size.arms > 1 else ""
    return f'question = "q"\nseeds = {size.seeds}\n[base]\n{size.base}{axis}'


def measure(folder: Path, size: Size) -> None:
    """Run a study; figures.json has what it took. In a process of its own."""
    processes.prepare_process(folder / "log", {})
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(size.open_files, hard), hard))
    from rnnjax import devices

    devices.prepare()
    from rnnjax.config.load import load_study
    from rnnjax.studies.run import run_study

    file, out = folder / "large.toml", folder / "out"
    file.write_text(study_text(size))
    begun, cores = time.monotonic(), time.process_time()
    run_study(load_study(file, max_runs=100_000), out, progress="none")
    figures = {"seconds": time.monotonic() - begun, "core-seconds": time.process_time() - cores}
    parts = json.loads((out / "manifest.json").read_text())["seconds"]
    figures |= {name: parts[name] for name in PARTS if name in parts}
    if size.report_again:
        figures["report again, core-seconds"] = report_again(out)
    figures["peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures["folder MB"] = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / 2**20
    (folder / "figures.json").write_text(json.dumps(figures))


def report_again(out: Path) -> float:
    """Core-seconds of judging a study and writing its report."""
    from rnnjax.studies.analyse import rejudge
    from rnnjax.studies.resume import load_stored_study

    begun = time.process_time()
    rejudge(load_stored_study(out, max_runs=100_000), out)
    return time.process_time() - begun


def sizes_trials(count: int, seed: int, folder: Path) -> Trials:
    """One trial is one size."""
    del seed
    for name, size in list(SIZES.items())[:count]:
        place = folder / str(list(SIZES).index(name))
        place.mkdir()
        with processes.started(measure, place, size) as child:
            code, _, _ = processes.end_of(child)
        figures = json.loads((place / "figures.json").read_text()) if code == 0 else {}
        words = (place / "log").read_text()[-300:] if (place / "log").exists() else ""
        lost = f"exit code {code}: {words}" if code != 0 else ""
        slow = figures.get("report again, core-seconds", 0.0)
        yield Trial(name, lost or (f"report: {slow:.1f} core-seconds" if slow > REPORT_LIMIT else ""), figures)
