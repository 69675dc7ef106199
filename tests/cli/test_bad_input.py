"""Every bad input that scripts/study.py can meet, by number: one line, its exit code, nothing written.

The script's `main` runs in this process, because a process that imports JAX takes seconds; a few real processes prove
that a bad config is refused before JAX is imported.
"""

import codecs
import importlib.util
import json
import os
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnnjax import devices
from rnnjax.cli.common import run_command
from rnnjax.config.fields import FIELDS
from rnnjax.config.load import load_study
from rnnjax.config.schema import Study
from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.storage import files
from rnnjax.storage.manifest import machine_fingerprint
from rnnjax.storage.run_folder import open_run
from rnnjax.studies.analyse import write_study
from rnnjax.studies.datasets import data_hash, load_tasks, read_source_text
from rnnjax.studies.prepare import prepare_study
from rnnjax.tasks import TASKS

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "study.py"
STUDY = "study.toml"
MEMORY = 10**9


def script() -> Any:
    spec = importlib.util.spec_from_file_location("study_script", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAIN = script().main


class Case(NamedTuple):
    """What is asked, and what must be answered."""

    words: str  # of the one line; several, in this order, are divided by " ... "
    config: str | bytes | None = "question = 'q'\nseeds = 2\n[base]\nsteps = 100\nhidden = 4\n"
    options: tuple[str, ...] = ()
    code: int = 2
    before: Callable[[Path], None] = lambda folder: None  # what else is there
    lines: int = 1


def base(*lines: str) -> str:
    return "\n".join(["question = 'q'", "seeds = 2", "[base]", *lines])


def top(*lines: str) -> str:
    return "\n".join(["question = 'q'", *lines])


def text_study(*lines: str, path: str = "corpus.txt", probes: str = "") -> str:
    return base("task.name = 'text'", f"task.path = '{path}'", *lines) + f"\n[probes]\n{probes}"


def corpus(content: str | bytes, name: str = "corpus.txt") -> Callable[[Path], None]:
    raw = content if isinstance(content, bytes) else content.encode()
    return lambda folder: (folder / name).write_bytes(raw) and None


def sparse(folder: Path) -> None:
    with (folder / "corpus.txt").open("wb") as file:
        file.truncate(5 * 10**12)


def made(folder: Path, out: str, done: bool = False, machine: dict[str, Any] | None = None, **change: Any) -> None:
    """A run folder of the study that is there, which a process has left."""
    ready = prepare_study(load_study(folder / STUDY))
    study = ready.study.config | change
    fingerprint = machine_fingerprint() | (machine or {})
    with open_run(folder / out, study, fingerprint, resume=False, data_sha256=data_hash(ready.tasks)) as run:
        if done:
            run.done()


def stored(folder: Path, out: str) -> None:
    """A run folder that has stored its study."""
    made(folder, out)
    write_study(folder / out, prepare_study(load_study(folder / STUDY)).study)


def other_hidden(folder: Path) -> None:
    made(folder, "out")
    (folder / STUDY).write_text(base("steps = 100", "hidden = 8"))


def other_block(folder: Path) -> None:
    made(folder, "out")
    (folder / STUDY).write_text(base("steps = 100", "hidden = 4", "block = 8"))


def other_data(folder: Path) -> None:
    corpus("abc " * 100)(folder)
    made(folder, "out")
    corpus("abd " * 100)(folder)


def other_machine(folder: Path) -> None:
    made(folder, "out", machine={"versions": {"jaxlib": "0.0.1"}})


def other_numerics(folder: Path) -> None:
    made(folder, "out", machine={"numerics": machine_fingerprint()["numerics"] | {"jax_enable_x64": True}})


def foreign(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "thesis.tex").write_text("do not touch")


def linked(folder: Path) -> None:
    made(folder, "out")
    (folder / "out" / "tb").symlink_to("/etc")


HELD: list[Any] = []


def held(folder: Path) -> None:
    ready = prepare_study(load_study(folder / STUDY))
    HELD.append(open_run(folder / "out", ready.study.config, machine_fingerprint(), resume=False))


PROBES_OF_TEXT = "text = 2\n"
OUT = ("--out", "out")
NAMED = "run name must match [A-Za-z0-9]"
AXES = "[[axes]]\n"
DRAWS = "[initial_statistics]\narms = ['*']\n"
UNLIMITED = "[[claims]]\nid = 'c'\ntext = 's'\n[[claims.criteria]]\nrule = 'bound'\narms = ['*']\n"
CLAIM = UNLIMITED + "high = 1.0\n"

ROWS: dict[str, Case] = {
    # the file
    "1 missing": Case("no such config file 'stud.toml'; nearest: study.toml", options=("stud.toml",)),
    "1 no options": Case("the following arguments are required: CONFIG", options=("",)),
    "2 directory": Case("study.toml: is a directory", None, before=lambda f: (f / STUDY).mkdir()),
    "2 pipe": Case("study.toml: is not a regular file", None, before=lambda f: os.mkfifo(f / STUDY)),
    "2 endless": Case("/dev/zero: is not a regular file", options=("/dev/zero",)),
    "2 under a file": Case("study.toml/x: not a directory", options=("study.toml/x",)),
    "2 name too long": Case("file name too long", options=("x" * 300,)),
    "3 empty": Case("study.toml: config is empty", ""),
    "3 blank": Case("study.toml: config is empty", " \n\n"),
    "3 a comment": Case("missing field 'question'", "# nothing yet\n"),
    "3 not UTF-8": Case("invalid UTF-8 at byte 12", b"question = '\xff'"),
    "4 table for value": Case("study.toml:hidden: got a table; expected integer", base("hidden = {a = 1}")),
    "4 value for table": Case("study.toml:base: got 5; expected", "question = 'q'\nbase = 5"),
    "4 value for list": Case("axes.hidden: got 5; expected a list", top(AXES, "hidden = 5")),
    "5 broken": Case("study.toml:3:10: ...     hidden = \n ... ^", top("[base]", "hidden = "), lines=3),
    "5 broken, escapes": Case("study.toml:1:13: ... question = '\\x1b[2J' ... ^", "question = '\x1b[2J'", lines=3),
    "6 twice": Case("study.toml:5:11: cannot overwrite a value", base("hidden = 1", "hidden = 2"), lines=3),
    "7 unknown": Case("unknown field 'learing_rate'; did you mean 'learning_rate'?", base("learing_rate = 1.0")),
    "7 unknown above": Case("unknown field 'seed'; did you mean 'seeds'?", top("seed = 3")),
    "7 not in its table": Case("'steps' stands outside of its table; expected it in [base]", top("steps = 5")),
    "7 unknown within": Case("study.toml:claims.0.criteria.0 unknown field 'hig'; did you mean 'high'?",
        top(CLAIM, "metric = 'final_loss'", "hig = 0")),
    "7 no limit": Case("missing field 'low' or 'high': without a limit the rule 'bound' always holds",
        top(UNLIMITED, "metric = 'final_loss'")),
    "7 limits crossed": Case("got low = 2 and high = 1; expected low <= high",
        top(CLAIM, "metric = 'final_loss'", "low = 2.0")),
    "7 after the end": Case("metric: got 'loss@900-1000'; expected a step of training, at most 300",
        top("base.steps = 300", CLAIM, "metric = 'loss@900-1000'")),
    "7 unknown axis": Case("unknown field 'gain'", top(AXES, "gain = [1]")),
    "7 unknown of a task": Case("unknown field 'task.pth'; did you mean 'task.path'?", base("task.pth = 'x'")),
    "7 one by one": Case("unknown field 'inputs'", base("inputs = 3")),
    "8 missing": Case("missing field 'question'", "seeds = 2"),
    "8 all at once": Case("missing field 'claims.0.text' ... missing field 'claims.0.criteria'",
        top("[[claims]]\nid='c'")),
    # the fields
    "9 text": Case("learning_rate: got 'fast'; expected number > 0 and finite", base("learning_rate = 'fast'")),
    "10 negative": Case("learning_rate: got -0.1; expected number > 0", base("learning_rate = -0.1")),
    "11 zero": Case("learning_rate: got 0.0; expected number > 0", base("learning_rate = 0.0")),
    "11 zero in float32": Case("learning_rate: got 1e-50; expected ... float32", base("learning_rate = 1e-50")),
    "12 nan": Case("learning_rate: got nan; expected number > 0 and finite", base("learning_rate = nan")),
    "12 inf": Case("learning_rate: got inf; expected number > 0 and finite", base("learning_rate = inf")),
    "12 inf in float32": Case("learning_rate: got 1e+39; expected ... float32", base("learning_rate = 1e39")),
    "13 boolean": Case("hidden: got boolean true; expected integer", base("hidden = true")),
    "14 hidden 0": Case("hidden: got 0; expected integer >= 1", base("hidden = 0")),
    "15 hidden -1": Case("hidden: got -1; expected integer >= 1", base("hidden = -1")),
    "15 hidden 1.5": Case("hidden: got 1.5; expected integer >= 1", base("hidden = 1.5")),
    "16 hidden 10**9": Case("hidden: needs 8,000,000,000 GB for Wh ... available", base("hidden = 1_000_000_000")),
    "16 block 10**9": Case("block: needs ... GB for Wh", base("block = 1_000_000_000")),
    "16 record": Case("steps: needs ... GB for the record", base("steps = 2_147_483_647", "log_every = 1")),
    "16 window": Case("window: needs ... GB for the states", base("window = 2_000_000", "batch = 1_000")),
    "16 characters": Case("task.characters: needs 32 GB", base("task.characters = 2_000_000_000")),
    "16 draws": Case("initial_statistics: needs ... GB for 100,000 starts",
        base("hidden = 2000") + "\n" + DRAWS + "count = 100_000"),
    "16 draws at most": Case("initial_statistics.count: got 10000000; expected",
        base() + "\n" + DRAWS + "count = 10_000_000"),
    "16 probes at most": Case("probes.text: got 1000000; expected", base() + "\n[probes]\ntext = 1_000_000"),
    "16 probes at no step": Case("probes.text.0: got -1; expected", base() + "\n[probes]\ntext = [-1, 5]"),
    "16 probes at nothing": Case("probes.text: got 'x'; expected", base() + "\n[probes]\ntext = 'x'"),
    "17 window 0": Case("window: got 0; expected integer >= 1", base("window = 0")),
    "18 batch 0": Case("batch: got 0; expected integer >= 1", base("batch = 0")),
    "19 steps 0": Case("steps: got 0; expected integer >= 1", base("steps = 0")),
    "19 --steps 0": Case("steps: got 0; expected integer >= 1", options=(STUDY, "--steps", "0")),
    "19 --steps nothing": Case("steps: got ''; expected integer >= 1", options=(STUDY, "--steps", "")),
    "20 steps": Case("steps: got 2147483648; expected integer >= 1 and <= 2147483647", base("steps = 2147483648")),
    "21 save_every 0": Case("save_every: got 0; expected", top("save_every = 0")),
    "21 save_every > steps": Case("save_every: got 101; expected integer >= 1 and <= 100 (steps)",
                                  top("save_every = 101", "[base]", "steps = 100")),
    "23 no seeds": Case("seeds: got []; expected at least one seed", top("seeds = []")),
    "23 0 seeds": Case("seeds: got 0; expected at least one seed", top("seeds = 0")),
    "23 --seeds 0": Case("seeds: got 0; expected at least one seed", options=(STUDY, "--seeds", "0")),
    "23 --seeds -1": Case("seeds: got -1; expected at least one seed", options=(STUDY, "--seeds", "-1")),
    "23 --seeds x": Case("argument --seeds: invalid int value: 'x'", options=(STUDY, "--seeds", "x")),
    "24 twice": Case("seed 7 given twice; duplicates would count one run as two", top("seeds = [7, 8, 7]")),
    "25 seed 2**32": Case("seeds: got 4294967296; expected integer >= 0 and <= 4294967295",
        top("seeds = [4294967296]")),
    "26 seed -1": Case("seeds: got -1; expected integer >= 0", top("seeds = [-1]")),
    "27 seed 1.5": Case("seeds: got 1.5; expected integer", top("seeds = [1.5]")),
    "27 seed true": Case("seeds: got boolean true; expected integer", top("seeds = [true]")),
    "27 seeds true": Case("seeds: got boolean true; expected integer", top("seeds = true")),
    "27 seed text": Case("seeds: got '3'; expected integer", top("seeds = ['3']")),
    "28 seed 2**63": Case("seeds: got 9223372036854775808; expected integer", top("seeds = [9223372036854775808]")),
    "28 seed 10**400": Case("seeds: got 1000", top(f"seeds = [{10**400}]")),
    "28 too many seeds": Case("seeds: got 4294967337; expected integer >= 0 and <= 4294967295",
                              options=(STUDY, "--seeds", "99999999999", "--max-runs", "99999999999")),
    "29 block 0": Case("block: got 0; expected integer >= 1", base("block = 0")),
    "30 clip negative": Case("clip_norm: got -1.0; expected number > 0", base("clip_norm = -1.0")),
    "31 clip 0": Case("clip_norm: got 0; expected number > 0", base("clip_norm = 0")),
    "32 b1": Case("adam_b1: got 1.5; expected number >= 0 and < 1", base("adam_b1 = 1.5")),
    "32 b2 in float32": Case("adam_b2: got 0.9999999999; expected ... < 1 in float32", base("adam_b2 = 0.9999999999")),
    "34 optimizer": Case("optimizer: got 'adm'; expected one of: adam, ... sgd, ... Did you mean 'adam'?",
        base("optimizer = 'adm'")),
    "34 cell": Case("cell: got 'x'; expected one of: elman", base("cell = 'x'")),
    "34 activation": Case("activation: got 'than'; expected one of: ... Did you mean 'tanh'?",
        base("activation = 'than'")),
    "34 initializer": Case("kernel_initializer: got 'radius'; expected one of", base("kernel_initializer = 'radius'")),
    "34 task": Case("task.name: got 'txt'; expected one of: ... text", base("task.name = 'txt'")),
    "34 probe": Case("probes: got 'spectra'; expected one of", base() + "\n[probes]\nspectra = 3"),
    "34 rule": Case("claims.c.rule: got 'bind'; expected one of",
        top(CLAIM.replace("bound", "bind"), "metric = 'loss'")),
    "34 arm of a claim": Case("got 'x'; expected one of the arms: base",
                              top(CLAIM.replace("*", "x"), "metric = 'final_loss'")),
    "34 metric of a claim": Case("claims.c: got metric 'loss'; expected one of: ... final_loss",
        top(CLAIM, "metric = 'loss'")),
    "34 slip in a metric": Case("claims.c: got metric 'final_los'; expected one of: final_loss",
        top(CLAIM, "metric = 'final_los'")),
    "34 slip in another metric": Case("claims.c: got metric 'final_los@5'; expected one of: final_loss",
        top(UNLIMITED.replace("bound", "correlation"), "high = 0.5", "metric = 'loss_area'",
            "explained_by = 'final_los@5'")),
    "34 arms with commas": Case("claims.c: got 'rate=0.1,tanh'; expected one of the arms: 'rate=0.1,norm=1', 'rate",
        top(AXES, "learning_rate = [0.2, 0.1]", "clip_norm = [1.0]", CLAIM.replace("*", "rate=0.1,tanh"),
            "metric = 'final_loss'")),
    "34 metric not probed": Case("claims.c: got metric 'henrici@0'; expected one of",
        top(CLAIM, "metric = 'henrici@0'")),
    "34 metric at no step": Case("claims.c: got metric 'henrici@x'",
        top("[probes]\nspectrum = 2", CLAIM, "metric = 'henrici@x'")),
    "34 metric of a figure": Case("figures: got metric 'los'; expected one of: ... loss",
                                  top("[[figures]]\nform = 'curve'\nmetric = 'los'\ntitle = 't'")),
    "34 metric of a question": Case("questions: got metric 'los'", top("[[questions]]\ntext = 'a'\nmetric = 'los'")),
    # the grid
    "40 empty axis": Case("axis 'learning_rate' has no values", top(AXES, "learning_rate = []")),
    "40 too many": Case("10,000,000 runs; limit 10,000 (--max-runs)",
                        top("seeds = 1", AXES, *[f"{name} = {list(range(1, 11))}" for name in
                            ("hidden", "window", "batch", "steps", "block", "log_every", "kernel_gain")])),
    "40 many seeds": Case("10,000,000,000 runs; limit 10,000 (--max-runs)", options=(STUDY, "--seeds", "10000000000")),
    "40 --max-runs": Case("2 runs; limit 1 (--max-runs)", options=(STUDY, "--max-runs", "1")),
    "41 twice": Case("axes: arms 1 and 3 are identical", top(AXES, "hidden = [8, 9, 8]")),
    "41 over tables": Case("axes: arms 1 and 2 are identical", top(AXES, "hidden = [8]", AXES, "hidden = [8]")),
    "41 equal in float32": Case("axes: arms 1 and 2 are identical", top(AXES, "learning_rate = [0.1, 0.1000000001]")),
    "41 one name": Case("axes: arms 1 and 2 have one name (a-b)", top(AXES, "task.path = ['a/b', 'a:b']")),
    "41 a long name": Case("has a name longer than 200", top(AXES, f"task.path = ['a', '{'x' * 300}']")),
    "F1 digits": Case("study.toml: got an integer of more than 3,000 digits", top("seeds = " + "9" * 5000)),
    "F1 hexadecimal": Case("study.toml: got an integer of more than 3,000 digits", top("seeds = 0x" + "f" * 5000)),
    "F1 in a list": Case("study.toml: got an integer of more than 3,000 digits", top(f"seeds = [1, 0x{'f' * 5000}]")),
    "F1 --set": Case("--set: hidden: got an integer of more than 3,000 digits",
                     options=(STUDY, "--set", "hidden=" + "9" * 5000)),
    "F1 --seeds": Case("study.toml: 999,999,999,999,999,... runs", options=(STUDY, "--seeds", "9" * 4200)),
    "F1 longer": Case("invalid int value: '99999999999999999999...'", options=(STUDY, "--seeds", "9" * 5000)),
    "F2 at the top": Case("'task.path' stands outside of its table; expected it in [base]", top('"task.path" = "x"')),
    "F2 unknown": Case("study.toml: unknown field 'a.b'", top('"a.b" = 1')),
    "F2 in a table": Case("unknown field 'a.b'",
                          top("[initial_statistics]", '"a.b" = 1', "count = 3", "arms = ['base']")),
    "42 deep": Case("nested deeper than 32", "x = " + "[" * 3000 + "]" * 3000),
    "42 33 deep": Case("nested deeper than 32", "x = " + "[" * 33 + "]" * 33),
    "42 shares of": Case(
        "tables.shares_of: got 'hiden'; expected one of: hidden. Did you mean 'hidden'?",
        top(AXES, "hidden = [8, 9]", "[[tables]]\ntitle = 't'\nmetrics = ['final_loss']\nshares_of = ['hiden']"),
    ),
    "43 larger than 1 MB": Case("config larger than 1 MB", "# " + "x" * 1_000_000),
    # the options
    "--out for two": Case("--out: got one folder for 2 studies", options=(STUDY, STUDY, *OUT)),
    "one folder for two": Case("got 2 studies called 'study'; expected one in each folder", options=(STUDY, STUDY)),
    "--set without value": Case("--set: got 'hidden'; expected field=value", options=(STUDY, "--set", "hidden")),
    "--set without field": Case("--set: got '=3'; expected field=value", options=(STUDY, "--set", "=3")),
    "--set unknown": Case("unknown field 'nosuch'", options=(STUDY, "--set", "nosuch=1")),
    "--set deep": Case("hidden: got '[[[", options=(STUDY, "--set", "hidden=" + "[" * 3000)),
    "--set two lines": Case("hidden: got '8\\nwindow=3'", options=(STUDY, "--set", "hidden=8\nwindow=3")),
    "--set an axis": Case("--set hidden: is an axis of this study; expected a field that its arms share",
                          top(AXES, "hidden = [4, 8]"), (STUDY, "--set", "hidden=16")),
    "--steps an axis": Case("steps: got 0; expected integer >= 1",
                            top(AXES, "steps = [4, 8]"), (STUDY, "--steps", "0")),
    "--arm": Case("--arm: got 'hidden=9'; expected one of: ",
                  top(AXES, "hidden = [4, 8]"), (STUDY, "--arm", "hidden=9")),
    "--arm nearest": Case("--arm: got 'hidden=28'; expected one of: hidden=128, hidden=4",
                          top(AXES, "hidden = [4, 128]"), (STUDY, "--arm", "hidden=28")),
    "unknown option": Case("unrecognized arguments: --sed=3", options=(STUDY, "--sed=3")),
    "abbreviated option": Case("unrecognized arguments: --max 3", options=(STUDY, "--max", "3")),
    "option without value": Case("argument --out: expected one argument", options=(STUDY, "--out")),
    "bytes that are no text": Case("argument 'b\\udcff.toml': expected UTF-8", options=("b\udcff.toml",)),
    # the text
    "38 warm-up": Case("warmup_steps: got 101.0; expected number <= 100 (steps)",
        base("steps = 100", "warmup_steps = 101.0")),
    "38 plateau without looks": Case("validate_every: got 0; expected integer >= 1 for schedule 'plateau'",
        base("schedule = 'plateau'")),
    "38 patience without looks": Case("validate_every: got 0; expected integer >= 1 for", base("patience = 3.0")),
    "38 schedule": Case("schedule: got 'cosin'; expected one of: cosine, constant, ... Did you mean 'cosine'?",
        base("schedule = 'cosin'")),
    "38 momentum": Case("momentum: got 1.0; expected number >= 0 and < 1", base("momentum = 1.0")),
    "38 scheduled_sampling": Case(
        "scheduled_sampling: got 'student'; expected", base("scheduled_sampling = 'student'")),
    "38 scheduled_sampling of a series": Case(
        "scheduled_sampling: got 'sampled'; expected 'teacher' unless the task is a text",
        base("scheduled_sampling = 'sampled'", "task.name = 'series'")),
    "38 scheduled_sampling with dropout": Case(
        "scheduled_sampling: got 'greedy'; expected 'teacher' unless ... without dropout",
        base("scheduled_sampling = 'greedy'", "dropout = true")),
    "38 own share": Case(
        "sampling_probability: got 1.5; expected number >= 0 and <= 1", base("sampling_probability = 1.5")),
    "38 leak": Case("leak: got 0.0; expected number > 0 and <= 1", base("leak = 0.0")),
    "38 layers": Case("layers: got 0; expected integer >= 1", base("layers = 0")),
    "38 start": Case(
        "initial_state: got 'ones'; expected one of: ... zero, ... learned", base("initial_state = 'ones'")),
    "38 start of before": Case("unknown field 'start'; it is called 'initial_state'", base("start = 'zero'")),
    "38 dropout": Case("dropout_rate: got 0.2; expected 0.0, or dropout = true", base("dropout_rate = 0.2")),
    "38 clip of elements": Case("clip_value: got 0.5; expected inf, or clip_elementwise = true",
        base("clip_value = 0.5")),
    "38 dropout of all": Case("dropout_rate: got 1.0; expected number >= 0 and < 1", base("dropout_rate = 1.0")),
    "38 Flax's dropout": Case("dropout: got True; expected false: 'flax_gru' is a module of Flax's",
        base("cell = 'flax_gru'", "dropout = true")),
    "38 Flax's layer norm": Case("layer_norm: got True; expected false: 'flax_gru'",
        base("cell = 'flax_gru'", "layer_norm = true")),
    "38 Flax's spectrum": Case("probes.spectrum: cell: got 'flax_gru'; expected a native cell",
        base("cell = 'flax_gru'") + "\n[probes]\nspectrum = 2"),
    "38 own opaque cell": Case("layer_norm: got True; expected false: 'lru' has no product of its state with one",
        base("cell = 'lru'", "layer_norm = true")),
    "38 parallel": Case("parallel: got True; expected false: the state of 'gru' is not linear ... min_gru",
        base("cell = 'gru'", "parallel = true")),
    "38 dtype": Case("dtype: got 'float16'; expected one of: float32, bfloat16", base("dtype = 'float16'")),
    "38 Flax's dtype": Case("dtype: got 'bfloat16'; expected 'float32': 'flax_gru' is a module of Flax's",
        base("cell = 'flax_gru'", "dtype = 'bfloat16'")),
    "38 both ways": Case("bidirectional: got True; expected false: it would read what it is to predict",
        base("bidirectional = true", "carry = 'reset'")),
    "38 both ways, carried": Case("carry: got 'carried'; expected 'reset': one way goes back in time",
        base("bidirectional = true", "task.name = 'recall'")),
    "38 adding, carried": Case("carry: got 'carried'; expected 'reset': examples have nothing to do with each other",
        base("task.name = 'recall'", "task.recall = 'adding'", "task.length = 25")),
    "38 adding, length": Case("window: got 25; the examples of this task have 40 steps (task.length)",
        base("task.name = 'recall'", "task.recall = 'adding'", "task.length = 40", "carry = 'reset'")),
    "38 adding, last": Case("reduction: got 'last'; expected 'sum' or 'mean': examples end at different steps",
        base("task.name = 'recall'", "task.recall = 'adding'", "task.length = 25", "carry = 'reset'",
             "task.shortest = 0.5", "reduction = 'last'")),
    "38 text of a series": Case("probes.text: task.name: got 'series'; expected a text",
        base("task.name = 'series'") + "\n[probes]\ntext = 2"),
    "38 forecasts of a text": Case("probes.closed_loop: task.name: got 'grammar'; expected 'series'",
        base() + "\n[probes]\nclosed_loop = 2"),
    "38 series, axes": Case("task.time_axis: got 'batch'; expected 'time' unless window = batch and carry = 'reset'",
        base("task.name = 'series'", "task.time_axis = 'batch'", "batch = 25", "task.length = 2000")),
    "38 series, axes of unequal sides": Case("task.time_axis: got 'batch'; expected 'time' unless window = batch",
        base("task.name = 'series'", "task.time_axis = 'batch'", "carry = 'reset'")),
    "38 series, standardise": Case("task.standardise: got boolean true; expected one of: all, targets, none, each",
        base("task.name = 'series'", "task.standardise = true")),
    "38 series, gap": Case("task.path: line 3, column 'b': got an empty cell; expected a finite number",
        base("task.name = 'series'", "task.path = 'x.csv'"), before=corpus("a,b\n1,2\n3,\n5,6\n", "x.csv")),
    "38 series, text": Case("task.path: line 2, column 'day': got 'monday'; expected a number; leave the column out",
        base("task.name = 'series'", "task.path = 'x.csv'"), before=corpus("day,b\nmonday,2\n", "x.csv")),
    "38 series, constant": Case("task.columns: got 'b', which is 2 in all",
        base("task.name = 'series'", "task.path = 'x.csv'", "window = 2"),
        before=corpus("a,b\n" + "".join(f"{i},2\n" for i in range(40)), "x.csv")),
    "38 series, column": Case("task.columns: got 'aa'; expected one of: a, b. Did you mean 'a'?",
        base("task.name = 'series'", "task.path = 'x.csv'", "task.columns = 'aa'"),
        before=corpus("a,b\n1,2\n", "x.csv")),
    "38 series too long": Case("task.length: needs ... GB for a series",
        base("task.name = 'series'", "task.length = 2_000_000_000")),
    "39 split 0": Case("task.validation: got 0.0; expected number > 0 and < 1", base("task.validation = 0.0")),
    "39 split 1": Case("task.validation: got 1; expected number > 0 and < 1", base("task.validation = 1")),
    "39 split 1.2": Case("task.validation: got 1.2; expected", base("task.validation = 1.2")),
    "39 split too short": Case("probes.validation: task.validation: its split leaves 12 characters; need >= 26",
                               base("task.characters = 120") + "\n[probes]\nvalidation = 2"),
    "39 prompts too short": Case("probes.text: ... has 12 characters; need >= 26",
                                 base("task.characters = 120") + "\n[probes]\ntext = 2"),
    "39 lags too long": Case("probes.gradients: task: has 40 characters; need >= 67",
                             base("task.characters = 40") + "\n[probes]\ngradients = 2"),
    "39 jacobian too long": Case("probes.jacobian: task: has 30 characters; need >= 35",
                                 base("task.characters = 30") + "\n[probes]\njacobian = 2"),
    "44 missing": Case("task.path: no such file 'corpus.txt'", text_study()),
    "44 NUL in the name": Case("task.path: cannot read 'a\\x00b'", text_study().replace("'corpus.txt'", '"a\\u0000b"')),
    "44 name too long": Case("cannot read ... file name too long", text_study(path="x" * 300)),
    "45 empty": Case("task.path: got an empty corpus", text_study(), before=corpus("")),
    "45 only a mark": Case("task.path: got an empty corpus", text_study(), before=corpus(codecs.BOM_UTF8)),
    "46 too short": Case("has 20 characters; need >= 26 (window 25 + 1)", text_study(), before=corpus("ab" * 11)),
    "46 batch too short": Case("has 180 characters; need >= 201 (batch 8 x window 25 + 1)", text_study("batch = 8"),
                               before=corpus("ab" * 100)),
    "46 grammar too short": Case("has 25 characters; need >= 26", base("task.characters = 25")),
    "46 grammar of 2": Case("has 2 characters; need >= 3", base("task.characters = 2")),
    "47 one character": Case("only 1 distinct character ... nothing to predict", text_study(), before=corpus("a" * 99)),
    "48 invalid": Case("invalid UTF-8 at byte 1,204 (0xff); use --set task.encoding=latin-1", text_study(),
                       before=corpus(b"a" * 1204 + b"\xff" + b"b" * 99)),
    "49 latin-1": Case("invalid UTF-8 at byte 3 (0xe9); use --set task.encoding=latin-1", text_study(),
                       before=corpus("café crème".encode("latin-1"))),
    "49 UTF-16": Case("looks like UTF-16 without a byte-order mark; use --set task.encoding=utf-16-le", text_study(),
        before=corpus("some text".encode("utf-16-le"))),
    "49 UTF-32": Case("use --set task.encoding=utf-32", text_study("task.encoding = 'ascii'"),
        before=corpus("some text".encode("utf-32"))),
    "49 cut short": Case("invalid UTF-16 at", text_study("task.encoding = 'utf-16'"), before=corpus(b"\xff\xfea\0b")),
    "49 unknown encoding": Case("task.encoding: got 'klingon'",
        text_study("task.encoding = 'klingon'"), before=corpus("ab" * 99)),
    "49 no text encoding": Case("task.encoding: got 'hex'",
        text_study("task.encoding = 'hex'"), before=corpus("ab" * 99)),
    "49 empty encoding": Case("task.encoding: got ''", text_study("task.encoding = ''"), before=corpus("ab" * 99)),
    "49 encoding with NUL": Case("task.encoding: got 'a\\x00'",
        text_study('task.encoding = "a\\u0000"'), before=corpus("ab" * 99)),
    "52 binary": Case("corpus.txt looks binary (50% control characters)", text_study(), before=corpus(b"\0\1ab" * 250)),
    "53 surrogate": Case("got the lone surrogate U+D800 at character 2", text_study("task.encoding = 'utf-7'"),
                         before=corpus(b"ab+2AA-cd")),
    "56 vocabulary": Case("got a vocabulary of 70,000 tokens; expected at most 65,535", text_study(),
                          before=corpus("".join(map(chr, range(0x10000, 0x10000 + 70_000))))),
    "57 too large": Case("needs 80,000 GB; available", text_study(), before=sparse),
    "58 directory": Case("is not a regular file", text_study(), before=lambda f: (f / "corpus.txt").mkdir()),
    "58 pipe": Case("is not a regular file", text_study(), before=lambda f: os.mkfifo(f / "corpus.txt")),
    "58 endless": Case("/dev/zero is not a regular file", text_study(path="/dev/zero")),
    "a task that reads no file": Case("task.path: got 'corpus.txt'; the task 'grammar' reads no file",
                                      base("task.path = 'corpus.txt'")),
    "59 other data": Case("corpus sha256 differs from run",
        text_study("steps = 100", "hidden = 4"), (STUDY, *OUT, "--resume"), 3,
                          other_data),
    # the folder
    **{f"60 61 --out {name[:9]!r}": Case(NAMED, options=(STUDY, f"--out={name}")) for name in
       (".", "..", "", "~", "/", "a/..", "-rf", "<b>", "a\nb", "a b", "é", "x" * 81, "../.hidden")},
    "61 study name": Case(NAMED, options=("<b>.toml",),
        before=lambda f: (f / "<b>.toml").write_text("question='q'") and None),
    "62 a file": Case("cannot write to out: ... is not a folder", options=(STUDY, *OUT), code=6,
                      before=lambda f: (f / "out").write_text("") and None),
    "62 under a file": Case("cannot write to study.toml/out: study.toml is not a folder",
        options=(STUDY, "--out", "study.toml/out"),
                            code=6),
    "64 another config": Case("out holds another config: ... hidden 4, config says 8",
        base("steps = 100", "hidden = 4"),
                              (STUDY, *OUT), 3, other_hidden),
    "64 unfinished": Case("holds an unfinished run of this config; use --resume", options=(STUDY, *OUT), code=3,
                          before=lambda f: made(f, "out")),
    "65 held": Case(f"out: in use by pid {os.getpid()} on host", options=(STUDY, *OUT), code=3, before=held),
    "66 foreign": Case("out contains files rnnjax did not write: 'thesis.tex'",
        options=(STUDY, *OUT), code=3, before=foreign),
    "67 link": Case("out: refuses to follow tb, which leads to /etc outside", options=(STUDY, *OUT, "--resume"), code=3,
                    before=linked),
    "68 nothing to resume": Case("nothing to resume in out", options=(STUDY, *OUT, "--resume"), code=3),
    "resume nothing": Case("nothing to resume in out", options=("--resume", "out"), code=3),
    "resume a file that is no folder": Case("no such config file 'none.toml'", options=("none.toml", "--resume")),
    "resume two folders": Case("--resume out --out other: expected one folder",
        options=("--resume", "out", "--out", "other")),
    "resume with arms": Case("--arm requires CONFIG", options=("--resume", "out", "--arm", "x")),
    "resume with another setting": Case("out holds another config: ... hidden 4, config says 5; more steps, seeds or",
        options=("--resume", "out", "--set", "hidden=5"), code=3, before=lambda f: stored(f, "out")),
    "resume with fewer steps": Case("steps 100, config says 50; more steps, seeds or arms can be added",
        options=("--resume", "out", "--steps", "50"), code=3, before=lambda f: stored(f, "out")),
    "keep best": Case("keep: got 'best'; expected 'last' or 'all', or validate_every >= 1", top("keep = 'best'")),
    "keep --best": Case("argument --keep: invalid choice: 'first'", options=(STUDY, "--keep", "first")),
    "69 resume another hidden": Case("hidden 4, config says 8", base("steps = 100", "hidden = 4"),
                                     (STUDY, *OUT, "--resume"), 3, other_hidden),
    "29 resume another block": Case("block 16, config says 8", base("steps = 100", "hidden = 4"),
                                    (STUDY, *OUT, "--resume"), 3, other_block),
    "71 strict": Case("another machine, and --strict is given: ... jaxlib",
        options=(STUDY, *OUT, "--resume", "--strict"),
                      code=3, before=other_machine),
    "83 numerics": Case("other numerics: it has jax_enable_x64 true, this one says false",
                        options=(STUDY, *OUT, "--resume"), code=3, before=other_numerics),
}  # fmt: skip


class Answer(NamedTuple):
    code: int
    error: str


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Run the script's main in an empty folder as `run_command` does for a user."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(devices, "prepare", lambda: None)  # JAX is set up already

    def asked(*options: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["study.py", *options])
        capfd.readouterr()
        with pytest.raises(SystemExit) as exit_:
            run_command(MAIN)
            sys.exit(0)
        return Answer(int(exit_.value.code or 0), capfd.readouterr().err)

    return asked


def snapshot(folder: Path) -> dict[str, Any]:
    """Names, kinds, times and sizes of all that is below a folder."""
    stats = {str(path.relative_to(folder)): path.lstat() for path in folder.rglob("*")}
    return {name: (stat.st_mode, stat.st_mtime_ns, stat.st_size) for name, stat in stats.items()}


def assert_in_order(words: str, text: str) -> None:
    place = 0
    for part in words.split(" ... "):
        assert part in text[place:], text
        place = text.index(part, place) + len(part)


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS)
def test_row(row: str, tmp_path: Path, ask: Callable[..., Answer]) -> None:
    case = ROWS[row]
    if case.config is not None:
        raw = case.config if isinstance(case.config, bytes) else case.config.encode()
        (tmp_path / STUDY).write_bytes(raw)
    case.before(tmp_path)
    before = snapshot(tmp_path)
    started = time.monotonic()
    code, error = ask(*[option for option in case.options or (STUDY,) if option or len(case.options) > 1])
    seconds = time.monotonic() - started
    for run in HELD:
        run.__exit__(None, None, None)
    HELD.clear()
    assert error.startswith("rnnjax: error: "), error
    assert len(error.splitlines()) == case.lines, error
    assert_in_order(case.words, error)
    assert code == case.code
    assert not [c for c in error if not c.isprintable() and c != "\n"], "could steer a terminal"
    assert seconds < 5
    if "65" not in row:  # that run's manifest is written when it is let go
        assert snapshot(tmp_path) == before


@pytest.mark.parametrize(("error", "code", "words"), [
    (PermissionError(13, "Permission denied"), 2, "study.toml: permission denied"),
    (OSError(5, "Input/output error"), 2, "study.toml: input/output error"),
])  # fmt: skip
def test_row_2_a_config_that_cannot_be_read(
    error: OSError, code: int, words: str, tmp_path: Path, ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / STUDY).write_text(base())

    def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(Path, "open", refuse)  # root may read everything
    answer = ask(STUDY)
    monkeypatch.undo()
    assert answer.code == code and words in answer.error and not (tmp_path / "runs").exists()


def test_row_57_is_refused_before_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sparse(tmp_path)
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("read"))
    with pytest.raises(BadInput, match="needs 80,000 GB; available 1 GB"):
        read_source_text(TaskSpec(name="text", path=str(tmp_path / "corpus.txt")), MEMORY)


def test_row_62_and_63_a_disk_that_refuses(
    tmp_path: Path, ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / STUDY).write_text(base("steps = 100", "hidden = 100"))
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: os.statvfs_result((0,) * 10) and Free(400_000))
    assert ask(STUDY) == (6, "rnnjax: error: cannot write to runs/study: 0.0 GB free, need 0.0 GB\n")
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(devices, "prepare", lambda: None)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    answer = ask(STUDY)
    assert answer.code == 6 and "cannot write to runs/study: Permission denied" in answer.error
    assert [path.name for path in tmp_path.iterdir()] == [STUDY]


class Free(NamedTuple):
    free: int


def test_a_mistake_in_the_second_study_is_told_before_the_first_is_trained(
    tmp_path: Path, ask: Callable[..., Answer]
) -> None:
    (tmp_path / "one.toml").write_text(base("steps = 100", "hidden = 4"))
    (tmp_path / "two.toml").write_text(text_study())
    code, error = ask("one.toml", "two.toml")
    assert code == 2 and "no such file 'corpus.txt'" in error and not (tmp_path / "runs").exists()


def test_rows_50_51_53_are_kept_and_noted(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    text = f"caf{composed}\r\ncaf{decomposed}\r\n\rend\n"
    path = tmp_path / "corpus.txt"
    path.write_bytes(codecs.BOM_UTF8 + text.encode())
    source = read_source_text(TaskSpec(name="text", path=str(path)), MEMORY)
    assert source is not None and source.text == text
    assert [remark.removeprefix(f"{path}: ") for remark in source.remarks] == [
        "the byte-order mark is left out",
        "2 line ends are CR LF, two characters each, and are kept",
        "1 lone CR are kept",
        f"{composed}: written in 2 forms, which are different characters to a network",
    ]
    path.write_text("plain\n")
    plain = read_source_text(TaskSpec(name="text", path=str(path)), MEMORY)
    assert plain is not None and plain.remarks == []


def test_a_text_is_read_once_and_its_remarks_are_told(tmp_path: Path) -> None:
    path = tmp_path / "corpus.txt"
    path.write_bytes(b"ab\r\n" * 100)
    tasks, remarks = load_tasks(2 * [TaskSpec(name="text", path=str(path))])
    assert len(tasks) == 1
    assert remarks == [f"{path}: 100 line ends are CR LF, two characters each, and are kept"]


def test_the_hash_is_of_all_that_is_trained_on() -> None:
    spec = TaskSpec(name="grammar", characters=600)
    task = load_tasks([spec])[0][spec]
    others = (
        {"train_N": task.train_N[::-1]},
        {"train_N": task.train_N.reshape(2, -1)},
        {"train_N": task.train_N.view(np.float32)},
        {"validation_N": task.validation_N[::-1]},
        {"vocabulary": task.vocabulary[::-1]},
        {"columns": ("a",)},
    )
    hashes = {data_hash({spec: task._replace(**change)}) for change in ({}, {}, *others)}
    assert len(hashes) == 1 + len(others)


def test_help_is_no_error(ask: Callable[..., Answer]) -> None:
    assert ask("--help") == (0, "")


# ----------------------------------------------------------------------------------------------- real processes


def process(*options: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"RNNJAX_CACHE": "", "PYTHONFAULTHANDLER": "1"} | environment
    command_line = [sys.executable, "-X", "importtime", str(SCRIPT), *options]
    return subprocess.run(command_line, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)


def said(finished: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in finished.stderr.splitlines() if not line.startswith("import time:")]


@pytest.mark.slow
@pytest.mark.parametrize(
    "row",
    [
        *("1 missing", "9 text", "16 hidden 10**9", "40 too many", "61 study name", "23 --seeds x", "34 rule"),
        *("34 slip in a metric", "34 slip in another metric", "34 arms with commas", "34 arm of a claim"),
        *("34 cell", "34 probe"),
        *("resume a file that is no folder", "resume nothing"),
    ],
)
def test_a_bad_config_never_imports_jax(row: str, tmp_path: Path) -> None:
    case = ROWS[row]
    assert isinstance(case.config, str)
    (tmp_path / STUDY).write_text(case.config)
    case.before(tmp_path)
    before, started = snapshot(tmp_path), os.times()
    finished = process(*(case.options or (STUDY,)), folder=tmp_path)
    assert os.times().children_user - started.children_user < 3  # seconds of the processor: others may use it too
    assert finished.returncode == case.code and len(said(finished)) == 1
    assert_in_order(case.words, said(finished)[0])
    imported = {line.split("|")[-1].strip() for line in finished.stderr.splitlines()}
    assert "rnnjax.config.load" in imported and "jax" not in imported
    assert snapshot(tmp_path) == before


@pytest.mark.slow
@pytest.mark.parametrize(("environment", "words"), [
    ({"JAX_PLATFORMS": "cuda"}, "JAX_PLATFORMS=cuda: no GPU found; devices: cpu:0"),
    ({"JAX_PLATFORMS": "abacus"}, "JAX_PLATFORMS=abacus: no such device found; devices: cpu:0"),
    ({"JAX_DEFAULT_PRNG_IMPL": "rbg"}, "JAX_DEFAULT_PRNG_IMPL=rbg is not supported: seeds would not be independent"),
    ({"JAX_ENABLE_X64": "banana"}, "JAX_ENABLE_X64"),
])  # fmt: skip
def test_rows_82_84_a_bad_environment(environment: dict[str, str], words: str, tmp_path: Path) -> None:
    (tmp_path / STUDY).write_text(base("steps = 100", "hidden = 4"))
    finished = process(STUDY, folder=tmp_path, **environment)
    assert finished.returncode == 2 and "Traceback" not in finished.stderr
    assert words in said(finished)[-1] and said(finished)[-1].startswith("rnnjax: error: ")
    assert [path.name for path in tmp_path.iterdir()] == [STUDY]


# ------------------------------------------------------------------------------------------- generated configs

NAMES = [*FIELDS, "inputs", "task", "seed", "learing_rate", "x"]
NUMBERS = st.one_of(
    st.integers(-3, 100),
    st.sampled_from([2**31 - 1, 2**31, 2**32, 2**63, 10**12, -(10**30)]),
    st.floats(width=64),
    st.sampled_from([0.5, 1e-50, 1e39, 1e300]),
)
WORDS = st.one_of(st.sampled_from(["tanh", "sum", "carried", "", "text", "orthogonal"]), st.text(max_size=8))
VALUES = st.one_of(NUMBERS, WORDS, st.booleans(), st.lists(NUMBERS, max_size=2), st.just({"a": 1}))
GOOD = {
    "hidden": st.integers(1, 99),
    "learning_rate": st.floats(0.01, 1),
    "carry": st.sampled_from(["carried", "reset"]),
}
TABLE = st.one_of(
    *2 * [st.fixed_dictionaries({}, optional=GOOD)], st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3)
)
AXIS = st.one_of(
    st.fixed_dictionaries({}, optional={name: st.lists(good, max_size=3) for name, good in GOOD.items()}),
    st.dictionaries(st.sampled_from(NAMES), st.one_of(VALUES, st.lists(VALUES, max_size=4)), max_size=2),
)
CONFIG = st.fixed_dictionaries(
    {"question": st.one_of(st.just("q"), st.just("q"), VALUES)},
    optional={
        "base": TABLE,
        "axes": st.lists(AXIS, max_size=2),
        "seeds": st.one_of(st.integers(1, 9), st.lists(st.integers(0, 9), max_size=3), VALUES),
        "save_every": st.one_of(st.integers(1, 99), VALUES),
        "probes": st.dictionaries(st.sampled_from(["spectrum", "text", "x"]), st.one_of(st.integers(2, 9), VALUES)),
        "initial_statistics": st.one_of(VALUES, st.fixed_dictionaries({"count": NUMBERS, "arms": st.just(["*"])})),
    },
)


def toml(value: Any) -> str:
    """A value as inline TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=True) if value.isascii() else json.dumps(ascii(value))
    return json.dumps(value) if isinstance(value, bool) else repr(value)


SEEN = {"studies": 0, "refusals": 0}


@settings(max_examples=300, derandomize=True, deadline=None, suppress_health_check=[*HealthCheck])
@given(
    CONFIG, st.lists(st.sampled_from(["hidden=3", "steps=0", "hidden", "x=1", "task.path=[", "steps=7"]), max_size=2)
)
def check_config(folder: Path, table: dict[str, Any], overrides: list[str]) -> None:
    path = folder / STUDY
    path.write_text("\n".join(f"{name} = {toml(value)}" for name, value in table.items()))
    try:
        assert isinstance(load_study(path, overrides), Study)
        SEEN["studies"] += 1
    except BadInput as error:
        assert len(str(error).splitlines()) == 1, error
        SEEN["refusals"] += 1


@pytest.mark.slow
def test_any_config_is_a_study_or_refused(tmp_path: Path) -> None:
    SEEN.update(studies=0, refusals=0)
    check_config(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [STUDY]
    assert min(SEEN.values()) >= 10, SEEN


PIECES = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.text("ab \r\n", max_size=60).map(str.encode),
    st.sampled_from([codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF32_LE, b"\0", b"the cat sat " * 20]),
)
ENCODINGS = st.sampled_from(
    ["utf-8", "utf-8", "latin-1", "utf-16", "utf-32", "utf-7", "idna", "punycode", "undefined", "?"]
)


@settings(max_examples=400, derandomize=True, deadline=None, suppress_health_check=[*HealthCheck])
@given(st.lists(PIECES, max_size=4).map(b"".join), ENCODINGS, st.sampled_from([1e-9, 0.1, 0.5, 0.999999]))
def check_corpus(folder: Path, raw: bytes, encoding: str, share: float) -> None:
    path = folder / "corpus.txt"
    path.write_bytes(raw)
    spec = TaskSpec(name="text", path=str(path), encoding=encoding, validation=share)
    try:
        source = read_source_text(spec, MEMORY)
        assert source is not None
        task = TASKS["text"](spec, source.text)
        assert len(task.train_N) + len(task.validation_N) == len(source.text)
        SEEN["studies"] += 1
    except BadInput as error:
        assert len(str(error).splitlines()) == 1, error
        SEEN["refusals"] += 1


def test_any_corpus_is_a_task_or_refused(tmp_path: Path) -> None:
    SEEN.update(studies=0, refusals=0)
    check_corpus(tmp_path)
    assert min(SEEN.values()) >= 10, SEEN
