"""Section 8: where the time of the base program goes: kernels, gaps between them, and the compiler's own count."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax.profiler import ProfileData

from benchmarks.gpu import training
from benchmarks.gpu.report import Figures, Measurement

RUNS, STEPS, TOP = 64, 50, 15
GPU_PLANE = "/device:GPU:0"
GPU_LINES = ("stream", "xla ops")  # how the lines of kernels begin; the first kind that exists is taken
CPU_LINES = "tf_xla"  # the threads of XLA on a CPU begin so
LISTED = 40  # lines of a profile that are named in the figures


class Event(NamedTuple):
    """One kernel (or operation) as the profiler saw it."""

    name: str
    start: float  # nanoseconds
    duration: float


Lines = list[tuple[str, str, list[Event]]]  # plane, line, events


def measurements(quick: bool) -> Iterator[Measurement]:
    base = training.Setting(hidden=8, window=5) if quick else training.Setting()
    runs = 8 if quick else RUNS
    settings = {"base": base, "base in one block": base._replace(block=runs)}
    if not quick:
        settings["lstm"] = training.Setting(cell="lstm", hidden=128, batch=8)
    for name, setting in settings.items():
        yield f"{name}, kernels", partial(profiled, setting, runs)
        yield f"{name}, cost of a step", partial(step_cost, setting, runs)


def profiled(setting: training.Setting, runs: int) -> Figures:
    """The trace of one chunk; without any event of the device in it, the reason."""
    trained = training.sweep(setting, range(runs))
    trained.advance(STEPS)
    unprofiled = training.timed_advance(trained, STEPS)
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            traced = training.timed_advance(trained, STEPS)
        lines = profile_lines(folder)
    events = kernel_events(lines)
    facts = {"seconds": unprofiled, "seconds_traced": traced, "steps": STEPS, "runs": runs}
    table = kernel_table(events, STEPS) if events else {"skipped": "the trace has no event of the device"}
    return facts | table | {"lines": line_counts(lines)}


def profile_lines(folder: str) -> Lines:
    """The events of a profile by plane and line."""
    (file,) = Path(folder).rglob("*.xplane.pb")
    planes = ProfileData.from_file(str(file)).planes
    return [(plane.name, line.name or "", event_records(line.events)) for plane in planes for line in plane.lines]


def event_records(events: Iterable[Any]) -> list[Event]:
    return [Event(event.name, float(event.start_ns), float(event.duration_ns)) for event in events]


def line_counts(lines: Lines) -> dict[str, int]:
    """How many events each line has, so that a profile of unexpected form can be recognised."""
    return {f"{plane} {line}": len(events) for plane, line, events in lines[:LISTED]}


def kernel_events(lines: Lines) -> list[Event]:
    """The kernels of the first GPU, or the operations of XLA's threads on a CPU (a loop there includes its body)."""
    of_gpu = [(line, events) for plane, line, events in lines if plane == GPU_PLANE]
    of_cpu = [(line, events) for plane, line, events in lines if plane != GPU_PLANE]
    for beginning in GPU_LINES if of_gpu else (CPU_LINES,):
        chosen = [events for line, events in of_gpu or of_cpu if line.lower().startswith(beginning)]
        if any(chosen):
            return [event for events in chosen for event in events if is_operation(event.name)]
    return []


def is_operation(name: str) -> bool:
    """Not XLA's own runtime, which a CPU's profile has beside the operations."""
    return "ThunkExecutor" not in name and not name.startswith(("end: ", "["))


def kernel_table(events: Iterable[Event], steps: int) -> Figures:
    """The kernels that take most time, how many there are for a step, and the share of time in which none runs."""
    listed = sorted(events, key=lambda event: event.start)
    time: Counter[str] = Counter()
    for event in listed:
        time[event.name] += event.duration  # type: ignore[assignment]
    number = Counter(event.name for event in listed)
    total = sum(time.values())
    top = [kernel_row(name, spent, number[name], total) for name, spent in time.most_common(TOP)]
    return {"kernels_per_step": len(listed) / steps, "names": len(time), "top": top} | gaps(listed)


def kernel_row(name: str, nanoseconds: float, calls: int, total: float) -> Figures:
    return {
        "name": name[:120],
        "calls": calls,
        "microseconds": nanoseconds / 1e3,
        "microseconds_per_call": nanoseconds / calls / 1e3,
        "share": nanoseconds / total if total else 0.0,
    }


def gaps(listed: list[Event]) -> Figures:
    """Time in which no kernel runs, between the first start and the last end; the events are sorted by start."""
    end, idle, longest = listed[0].start, 0.0, 0.0
    for event in listed:
        gap = max(event.start - end, 0.0)
        idle, longest = idle + gap, max(longest, gap)
        end = max(end, event.start + event.duration)
    span = end - listed[0].start
    return {
        "span_microseconds": span / 1e3,
        "idle_share": idle / span if span else 0.0,
        "longest_gap_microseconds": longest / 1e3,
        "mean_gap_microseconds": idle / len(listed) / 1e3,
    }


def step_cost(setting: training.Setting, runs: int) -> Figures:
    """The compiler's own count for one step of one block: floating-point operations, bytes, instructions."""
    compiled = training.compiled_step(setting, setting.block or min(training.block_width(setting), runs))
    analysis = compiled.cost_analysis() or {}
    text = compiled.as_text() or ""
    words = {word: text.count(f" {word}(") for word in ("fusion", "while", "custom-call", "dot", "scatter", "copy")}
    return {"flops": analysis.get("flops"), "bytes": analysis.get("bytes accessed"), "instructions": words}
