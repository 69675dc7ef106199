"""A small study, its readers, and what must be equal in two run folders of it."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

from rnnjax import probes
from rnnjax.config.load import load_study
from rnnjax.config.schema import Study
from rnnjax.errors import AllDiverged
from rnnjax.reports.ledger import read_entries
from rnnjax.reports.site import read_study_report
from rnnjax.storage.checkpoints import Checkpoints
from rnnjax.storage.sealed import read_sealed_npz
from rnnjax.studies import group_setup, run
from rnnjax.studies.analyse import rejudge
from rnnjax.studies.load_networks import load_network
from rnnjax.studies.load_results import load_results
from rnnjax.studies.prepare import prepare_study
from rnnjax.studies.resume import load_stored_study
from rnnjax.studies.run import run_study
from rnnjax.studies.sampling import SamplingOptions, sample_from_folder
from rnnjax.training.parallel import compile_program, init_states

STUDY = """
question = "Does it speak?"
seeds = 2
keep = "{keep}"
save_every = {save_every}
[base]
optimizer = "adam"
carry = "carried"
hidden = 4
window = 5
steps = {steps}
log_every = {log_every}
block = 2
task.characters = 400
[probes]
validation = 3
[[axes]]
recurrent_gain = [0.5, 1.0]
[[claims]]
id = "speak/low"
text = "The loss is low."
stated = "low"
[[claims.criteria]]
rule = "bound"
metric = "final_loss"
arms = ["*0.5"]
high = 9.0
"""
SETTINGS: dict[str, Any] = {"save_every": 20, "steps": 40, "log_every": 20, "keep": "all"}
SEED = 43  # of the network that is read
Reader = Callable[[Path], str]  # run folder -> its answer


def study_file(folder: Path, **settings: Any) -> Path:
    """The file of the study, below a folder."""
    path = folder / "tiny.toml"
    path.write_text(STUDY.format(**SETTINGS | settings))
    return path


def small_study(folder: Path, **settings: Any) -> Study:
    return load_study(study_file(folder, **settings))


def run_quietly(study: Study, out: Path, resume: bool = False, **options: Any) -> Path:
    """Run a study into a folder. Raises: as `run_study`."""
    run_study(study, out, resume=resume, progress="none", handle_signals=False, **options)
    return out


@contextmanager
def shared_programs() -> Iterator[None]:
    """Attempts of a study share what is a pure function of it: its checks, its compiled programs, its starts."""
    kept = {name: remember(probe, key=lambda spec, task: spec) for name, probe in probes.PROBES.items()}
    changes: list[tuple[Any, str, Any]] = [
        (run, "prepare_study", remember(prepare_study, key=lambda study: repr(study.config))),
        (
            group_setup,
            "compile_program",
            remember(compile_program, key=lambda runs, data, rows, _: (tuple(runs), rows)),
        ),
        (group_setup, "init_states", remember(init_states, key=lambda runs: tuple(runs))),
        (probes, "PROBES", kept),
    ]
    before = [getattr(module, name) for module, name, _ in changes]
    for module, name, value in changes:
        setattr(module, name, value)
    try:
        yield
    finally:
        for (module, name, _), value in zip(changes, before, strict=True):
            setattr(module, name, value)


def remember(function: Callable[..., Any], key: Callable[..., Hashable]) -> Callable[..., Any]:
    known: dict[Hashable, Any] = {}

    def remembered(*arguments: Any) -> Any:
        if key(*arguments) not in known:
            known[key(*arguments)] = function(*arguments)
        return known[key(*arguments)]

    return remembered


class Gone(BaseException):
    """Takes the place of a kill: nothing of rnnjax catches it."""


def killed_after(study: Study, out: Path, last: int) -> Path:
    """The run folder of a study that was killed right after its checkpoint of a step."""
    save = Checkpoints.save

    def save_and_die(self: Checkpoints, step: int, tree: Any) -> None:
        save(self, step, tree)
        if step == last:
            raise Gone

    Checkpoints.save = save_and_die  # type: ignore[method-assign]
    try:
        run_quietly(study, out)
    except Gone:
        return out
    finally:
        Checkpoints.save = save  # type: ignore[method-assign]
    raise AssertionError(f"no checkpoint of step {last}")


# Readers: the answer of each is the same as before, or it refuses


def read_network(folder: Path) -> str:
    loaded = load_network(folder, None, SEED)
    sums = {
        str(np.asarray(leaf).sum()) for layer in loaded.params.values() for leaf in layer.values() if leaf is not None
    }
    return repr((loaded.arm, loaded.step, loaded.vocabulary, loaded.spec, loaded.hp, sorted(sums), loaded.prompt))


def read_losses(folder: Path) -> str:
    results = load_results(folder)
    return repr([(arm.name, {name: values.tolist() for name, values in arm.metrics.items()}) for arm in results.arms])


def read_page(folder: Path) -> str:
    [entry] = read_entries([folder])
    return repr((entry._replace(folder=Path()), read_study_report(entry)))


def read_stored(folder: Path) -> str:
    study = load_stored_study(folder)
    return repr((study.file.claims, study.config, study.seeds))


def read_sample(folder: Path) -> str:
    return sample_from_folder(folder, None, SEED, 20, SamplingOptions(greedy=True))


def read_judged(folder: Path) -> str:
    """The summary after judging again, into a copy."""
    copy = Path(shutil.copytree(folder, folder.with_name("judged"), symlinks=True))
    try:
        rejudge(load_stored_study(copy), copy)
        return (copy / "summary.json").read_text()
    finally:
        shutil.rmtree(copy)


def read_diagnosis(folder: Path) -> str:
    """What the doctor finds, in words."""
    from rnnjax.doctor.examine_run import examine_folder
    from rnnjax.doctor.report import to_json

    arm, found = examine_folder(folder, None)
    return json.dumps(to_json(arm, found), default=str)


READERS: tuple[Reader, ...] = (read_network, read_losses, read_page, read_stored)
SLOW_READERS: tuple[Reader, ...] = (read_sample, read_judged, read_diagnosis)


# What must be equal


def differences(one: Path, other: Path) -> list[str]:
    """The names of what is not bitwise equal in two finished studies: final states, metrics, the summary."""
    found = []
    for path in sorted((one / "metrics").glob("*.npz")):
        ours, theirs = read_sealed_npz(path), read_sealed_npz(other / "metrics" / path.name)
        names = ours.keys() | theirs.keys()
        found += [n for n in names if n not in ours or n not in theirs or ours[n].tobytes() != theirs[n].tobytes()]
    hashes = [read_manifest_of(folder)["state_sha256"] for folder in (one, other)]
    found += ["state_sha256"] if hashes[0] != hashes[1] else []
    return found + [n for n in ("summary.json",) if (one / n).read_bytes() != (other / n).read_bytes()]


def repeated_events(out: Path) -> list[str]:
    """What stands in TensorBoard more than once, and the rows of the record whose loss does not stand there."""
    steps = read_sealed_npz(out / "metrics" / "group-0.npz")["row_steps"]
    found = []
    for arm in (out / "tb").iterdir():
        events = EventAccumulator(str(arm), size_guidance={"scalars": 0, "histograms": 0, "tensors": 0})
        events.Reload()
        for kind, read in (("scalars", events.Scalars), ("histograms", events.Histograms), ("tensors", events.Tensors)):
            for tag in events.Tags()[kind]:
                times = Counter(event.step for event in read(tag))
                found += [f"{arm.name} {tag} {step}" for step, count in times.items() if count > 1]
        if "e+38" not in arm.name:  # whose runs have no finite loss
            lost = set(steps.tolist()) - {event.step for event in events.Scalars("loss")}
            found += [f"{arm.name} loss {step} is lost" for step in sorted(lost)]
    return found


def read_manifest_of(folder: Path) -> Mapping[str, Any]:
    return json.loads((folder / "manifest.json").read_text())


def finish(study: Study, out: Path) -> Path:
    """Run a study to its end, going on where it was begun. Raises: as `run_study`, but for runs that all diverged."""
    try:
        return run_quietly(study, out, resume=(out / "manifest.json").exists())
    except AllDiverged:
        return out
