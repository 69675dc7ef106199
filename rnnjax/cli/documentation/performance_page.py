"""docs/performance.md: the speed tables, from results/bench/quick.json."""

from pathlib import Path
from typing import Any

from rnnjax.cli.documentation.markdown import page, table
from rnnjax.storage.files import read_json

CONTENDERS = {  # in the benchmark -> in the table
    "rnnjax": "rnnjax",
    "plain_vmap": "plain `vmap`",
    "flax": "Flax + optax, one run at a time",
    "torch": "torch, one run at a time",
    "torch_bmm": "torch, seeds batched",
}
CONTENDER_TITLES = {"elman": "Elman", "lstm": "LSTM", "gru": "GRU"}
DETAILS = """\
Larger tables: [scaling](../results/bench/scaling.md) (the cost of a run is flat from 16 to 256 runs),
[tuning](../results/bench/tuning.md) (the gain of each design decision), and every size in
[full_elman](../results/bench/full_elman.md) and [full_gated](../results/bench/full_gated.md), measured with an earlier
width of blocks. A single large LSTM with a batch of 32 is faster in torch: rnnjax is designed for many runs.
Sequences of different lengths beside torch's packed LSTM, and segments of long windows:
[sequences](../results/bench/sequences.md), by `python scripts/sequence_speed.py`.

## Fused windows

    rnnjax study init --set recurrence=fused

runs windows of `elman`, `gru` and `lstm` (float32, without `layer_norm`) as one call of C++ each way instead of a scan:
a run's kernel stays in the cache of its core, and products use the widest vectors of the processor. It is compiled when
first used, by `CXX` or c++, g++, clang++, and kept in `RNNJAX_CACHE`; without a compiler the setting is refused. It is
not the default, because its last bits differ from those of the scan, its reference, and depend on the processor; it
takes part in a run's identity. Windows with `task.document_token` or packed sequences take the scan. Only CPUs.

How many times faster a whole optimizer step of 64 runs is, by the time of all cores, and the recurrence alone, forward
and backward; medians of turns on a crowded 2-core Xeon with AVX-512 (GCC 12, jax 0.10.2;
[figures](../results/bench/against_build.md)):

| network | step, against the scan | step, against bbb497f | recurrence |
| --- | --- | --- | --- |
| Elman, H = 64, batch 1 | 1.27 | 1.39 | 1.55 |
| Elman, H = 128, batch 8 | 1.59 | 1.59 | 1.66 |
| LSTM, H = 128, batch 8 | 2.3 | 2.6 | 2.17 |

`rnnjax bench --against rnnjax_fused` measures it on your machine. What did not pay: `associative_scan` on CPUs (3 to 9
times slower than the scan), products written as a multiplication and a sum (tens of times slower),
`--xla_cpu_prefer_vector_width=512` (4 to 6% at Elman, nothing at LSTM, other bits). In the kernel, `x + 0` to spread a
number over a vector cost a third of the time: it is an addition, since it is not x where x = -0.

## Against an older build

`rnnjax bench --against-build COMMIT` times a commit of this repository in turns with the present one. Against the build
of 22 November 2026 (bbb497f) a step of the scan is 1.07, 1.04 and 1.10 times as fast at these three networks, by the
time of all cores: little more than the noise of that machine.

Equinox and Keras, compiled and one run at a time, take 2.8 and 2.4 times as long as rnnjax at the first network, torch
44 times, and onnxruntime reads a window in 8.8 times the time of `rnnjax_evaluation`
([figures](../results/bench/peers.md), 3 rounds).

## Memory of long windows

LSTM, H = 256, T = 400, batch 16, one run to a device. Temporary memory is the compiler's own count of one device's
program; the process is the growth of its peak with two runs; core-seconds are those of one step of one run:

| program | temporary MB | process MB | core-seconds | time |
| --- | --- | --- | --- | --- |
| commit bbb497f | 118 | 242 | 0.307 | 1 |
| `remat = 20` | 16 | 38 | 0.367 | 1.2 |
| `remat = 20`, `recurrence = "fused"` | 16 | | 0.243 | 0.79 |

The states of all runs come on top, 1.2 MB a run: by this count 256 runs of this size take 546 MB with bbb497f and 342
MB with `remat`.

## The first run

Most of a short run with an empty cache is compilation. Programs are compiled several at once, those of the next group
while this one is trained, and groups that differ in training alone share the programs that draw their starts. The bits
are those of before. Core-seconds (user and system; empty `RNNJAX_CACHE`; a crowded AMD EPYC, so only ratios count):

| part | before | after |
| --- | --- | --- |
| starts of all groups of `init` (`--seeds 2 --steps 500`) | 44 | 16 |
| `init` with 7 arms in 3 groups, `--seeds 2 --steps 100`, as a whole, side by side | 67 | 54 |
| imports of `study.py`, old and new in turns, median of 4 | 2.6 | 1.8 |

## On your machine

    pip install torch  # left out of the comparison where it is not installed
    rnnjax bench

On a CPU the commands use each core as one device and cache compiled programs in `~/.cache/rnnjax` (the environment
variable `RNNJAX_CACHE` sets another folder; empty disables the cache). The setting `block` is the number of runs that a
device advances together; the default fills the cache of a core. For one or two runs set `block` to 1."""


def performance_page(path: Path) -> str:
    """The page. Raises DamagedState where the benchmark cannot be read."""
    results = read_json(path)
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    introduction = (
        f"Time of one optimizer step of one run in microseconds; 64 runs, {machine['cores']} CPU cores "
        f"({machine['cpu']}), all contenders in turns in one process ([all numbers](../results/bench/quick.md)). "
        f"Peak share: of the cores' matrix-product peak. Versions: {versions}."
    )
    return page("Performance", introduction, speed_table(results["timings"]), DETAILS)


def speed_table(timings: list[dict[str, Any]]) -> str:
    """One row per network: the median time of each contender."""
    networks = dict.fromkeys((row["cell"], row["hidden"], row["batch"]) for row in timings)
    header = ["network", CONTENDERS["rnnjax"], "peak share", *list(CONTENDERS.values())[1:]]
    return table(header, [speed_row(timings, *network) for network in networks])


def speed_row(timings: list[dict[str, Any]], cell: str, hidden: int, batch: int) -> list[str]:
    rows = {
        row["contender"]: row for row in timings if (row["cell"], row["hidden"], row["batch"]) == (cell, hidden, batch)
    }
    times = [format_time(rows[name]["microseconds"]) for name in CONTENDERS]
    share = f"{rows['rnnjax']['share_of_peak']:.0%}"
    return [f"{CONTENDER_TITLES[cell]}, H = {hidden}, batch {batch}", times[0], share, *times[1:]]


def format_time(microseconds: float) -> str:
    return f"{microseconds:,.1f}" if microseconds < 100 else f"{microseconds:,.0f}"
