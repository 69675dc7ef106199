"""Studies whose groups are trained by workers: the parts, their locks, and results that are bitwise those without."""

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import portalocker
import pytest
from cluster_study import train_plainly
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rnnjax import devices
from rnnjax.config.load import load_study
from rnnjax.errors import BadInput, FolderRefused, Stopped
from rnnjax.reports.methods import describe_machine
from rnnjax.storage import part_folder
from rnnjax.storage.event_files import ArmCurves
from rnnjax.storage.manifest import machine_fingerprint
from rnnjax.storage.part_folder import hold_part, is_held_by, read_attempts, read_owner, request_stop
from rnnjax.storage.run_folder import RunFolder, open_run
from rnnjax.storage.sealed import read_sealed_json, read_sealed_npz
from rnnjax.studies.cluster.address import Address, parse_address
from rnnjax.studies.cluster.computed import record_computed
from rnnjax.studies.cluster.job import PartJob
from rnnjax.studies.cluster.slurm import without_options, write_job_script
from rnnjax.studies.cluster.split import round_ends, shares_of_workers
from rnnjax.studies.cluster.train import plan_jobs
from rnnjax.studies.cluster.train_part import StopRequest, train_part
from rnnjax.studies.context import RunContext
from rnnjax.studies.parts import first_part, groups_of_study
from rnnjax.studies.prepare import prepare_study
from rnnjax.studies.progress import Clock, Display
from rnnjax.studies.run import run_study
from rnnjax.studies.signals import Interruption

STUDY = """
question = "Does it matter who trains?"
seeds = 5
[base]
hidden = 4
window = 5
steps = 20
log_every = 10
block = 1
task.characters = 300
[[axes]]
learning_rate = [0.01, 0.1]
"""


def test_addresses() -> None:
    assert parse_address("local:3") == Address("local", workers=3)
    assert parse_address("tcp://node-7:8786") == Address("scheduler", scheduler="tcp://node-7:8786")
    assert parse_address("tcp://[::1]:1").kind == "scheduler"
    assert parse_address("slurm:a/job.sh") == Address("slurm", script=Path("a/job.sh"))


@pytest.mark.parametrize(
    "text",
    ["", "local", "local:0", "local:-1", "local:1.5", "local:9999999999", "tcp:host", "tcp://h", "slurm:", "x:1"],
)
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(BadInput, match="expected local:N"):
        parse_address(text)


def test_groups_are_divided_into_whole_rounds_as_alike_as_they_can_be() -> None:
    for runs, size, parts in itertools.product((1, 7, 16, 33, 100), (1, 2, 16), (1, 2, 3, 50)):
        ends = round_ends(runs, size, parts)
        sizes = np.diff([0, *ends])
        rounds = -(-sizes // size)
        assert ends[-1] == runs and len(ends) == min(parts, -(-runs // size))
        assert (sizes[:-1] % size == 0).all(), "only the last part may have padding"
        assert rounds.sum() == -(-runs // size) and rounds.max() - rounds.min() <= 1


def test_a_group_has_as_many_parts_as_workers_that_its_work_needs() -> None:
    assert shares_of_workers({"a": 1.0}, 4) == {"a": 4}
    assert shares_of_workers({"a": 1.0, "b": 1.0}, 2) == {"a": 1, "b": 1}
    assert shares_of_workers({"large": 98.0, "small": 1.0, "tiny": 1.0}, 10) == {"large": 10, "small": 1, "tiny": 1}


def test_without_the_option_no_dask_is_loaded() -> None:
    code = "import sys, rnnjax.cli.study, rnnjax.studies.run, rnnjax.studies.cluster.train; "
    code += "print([name for name in sys.modules if name.partition('.')[0] in ('dask', 'distributed')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_job_script_runs_the_study_as_it_was_asked_for(tmp_path: Path) -> None:
    asked = ["init", "--cluster", "slurm:job", "--set", "task.path=a b.txt", "--cluster=slurm:job", "--resume"]
    assert without_options(asked) == ["init", "--set", "task.path=a b.txt"]
    assert without_options(["--resume", "runs/x", "--cluster", "slurm:job"]) == ["--resume", "runs/x"]
    script = tmp_path / "job.sh"
    write_job_script(script, asked, [Path("runs/a b")])
    text = script.read_text()
    subprocess.run(["bash", "-n", script], check=True)
    assert "study init --set 'task.path=a b.txt' --cluster \"$address\" $resume" in text
    assert "for manifest in 'runs/a b/manifest.json'; do" in text
    with pytest.raises(BadInput, match="there is such a file"):
        write_job_script(script, asked, [])


def test_a_later_attempt_of_the_same_number_keeps_the_curves(tmp_path: Path) -> None:
    """A worker that takes over has the attempt number of the process that asked, as the lost one had."""
    for resumed, until in ((None, 30), (20, 40)):
        curves = ArmCurves(tmp_path, 1, resumed)
        for step in range(0 if resumed is None else resumed + 10, until + 1, 10):
            curves.text(step, "text", "a")
    files = sorted(path.name for path in tmp_path.glob("events*"))
    assert files == ["events.out.tfevents.000001", "events.out.tfevents.000002"]
    shown = EventAccumulator(str(tmp_path))
    shown.Reload()
    assert [event.step for event in shown.Tensors("text/text_summary")] == [0, 10, 20, 30, 40]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the study, trained without workers; its TOML file is beside it."""
    return train_plainly(tmp_path_factory.mktemp("cluster"), STUDY)


@pytest.fixture
def asked(plain: Path, tmp_path: Path) -> Iterator[tuple[RunFolder, list[PartJob]]]:
    """A new folder that this process holds, and the job of the only group."""
    prepared = prepare_study(load_study(plain.parent / "s.toml"))
    groups = groups_of_study(prepared.study)
    parts = {name: [first_part(prepared.study, name, group)] for name, group in groups.items()}
    with open_run(tmp_path / "out", prepared.study.config, machine_fingerprint(), False) as run:
        context = RunContext(prepared.study, run, Display("none"), Clock({}), Interruption(False))
        yield run, plan_jobs(context, groups, parts, prepared.tasks, strict=False)


def test_a_worker_refuses_what_is_not_the_study(asked: tuple[RunFolder, list[PartJob]]) -> None:
    run, [job] = asked
    other = json.loads(json.dumps(job.machine))
    other["numerics"]["jax_default_matmul_precision"] = "highest"
    for changed, error, words in (
        (job._replace(data_sha256="x"), "BadInput", "data .* not those"),
        (job._replace(owner="pid 1 on host elsewhere"), "FolderRefused", "does not see the lock"),
        (job._replace(folder="/nowhere"), "FolderRefused", "no such folder"),
        (job._replace(machine=other), "FolderRefused", "other numerics"),
    ):
        outcome = train_part(changed, lambda event: None)
        assert outcome.error == error and re.search(words, outcome.message), outcome
    assert not read_attempts(run.path, job.part.folder), "nothing was begun"


def test_unlike_machines_are_refused_or_marked(asked: tuple[RunFolder, list[PartJob]]) -> None:
    run, [job] = asked
    other = {**job.machine, "platform": {**job.machine["platform"], "isa": ["sse4_2"]}}
    (run.path / "work").mkdir()
    (run.path / "work" / "machine.json").write_text(json.dumps(other))
    outcome = train_part(job._replace(strict=True), lambda event: None)
    assert outcome.error == "FolderRefused" and "--strict" in outcome.message and "isa" in outcome.message
    attempt = {"host": "a", "from": -1, "to": 20, "seconds": {"train": 1.0}, "wall_seconds": 1.0, "cpu_seconds": 1.0}
    part_folder.write_attempts(run.path, job.part.folder, [attempt | {"machine": other}])
    record_computed(run)
    assert run.manifest["one_machine"] is False
    [entry] = run.manifest["computed"]["group-0"]
    assert entry["machine"]["platform"]["isa"] == ["sse4_2"]
    assert "unlike" not in describe_machine(run.manifest), "one machine has computed all"
    run.record(computed={"group-0": [entry, entry | {"host": "b", "machine": job.machine}]})
    assert describe_machine(run.manifest).endswith("computed on unlike machines: group-0 on a / group-0 on b")
    assert not (run.path / "work").exists()


def test_one_process_at_a_time_trains_a_part(asked: tuple[RunFolder, list[PartJob]]) -> None:
    run, _ = asked
    calls = []

    def give_up() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise Stopped(15, "")

    with hold_part(run.path, "group-0", {"attempt": 1}, lambda: None) as held:
        held.check_held()
        with pytest.raises(Stopped):
            hold_part(run.path, "group-0", {"attempt": 1}, give_up)
        (run.path / "work" / "group-0.lock").unlink()
        (run.path / "work" / "group-0.lock").touch()
        with pytest.raises(FolderRefused, match="another file now"):
            held.check_held()
    hold_part(run.path, "group-0", {"attempt": 1}, give_up).__exit__(None, None, None)


def test_a_worker_stops_when_it_is_asked_to_or_nobody_waits_for_it(asked: tuple[RunFolder, list[PartJob]]) -> None:
    run, [job] = asked
    assert is_held_by(run.path, job.owner) and not is_held_by(run.path, "pid 1")
    assert StopRequest(run.path, job.owner).number == 0
    portalocker.unlock(run._lock)  # as when the process that asked is killed
    assert not is_held_by(run.path, read_owner(run.path))
    assert StopRequest(run.path, job.owner).number == 15
    (run.path / "work").mkdir()
    request_stop(run.path, "a signal")
    assert train_part(job, lambda event: None).error == "Stopped"


@pytest.mark.slow
def test_workers_of_dask_leave_the_bits_as_they_are(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers in threads of this process: the same tasks, files and messages as between processes."""
    distributed = pytest.importorskip("distributed")
    from rnnjax.studies.cluster.engine import Engine

    monkeypatch.setattr(devices, "prepare", lambda count: None)  # JAX is set up in this process
    study = load_study(plain.parent / "s.toml")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": "127.0.0.1:0"}
    with distributed.Client(set_as_default=False, **options) as client:
        engine = Engine(client, "inproc", None)
        run_study(study, tmp_path / "out", progress="none", handle_signals=False, engine=engine)
    alone, ours = (read_sealed_json(folder / "manifest.json") for folder in (plain, tmp_path / "out"))
    assert ours["state_sha256"] == alone["state_sha256"]
    assert [part["attempts"] for part in ours["computed"]["group-0"]] == [1, 1], "the group had two parts"
    assert sum(len(seeds) for part in ours["parts"]["group-0"] for seeds in part["runs"].values()) == 10
    left, right = (read_sealed_npz(folder / "metrics" / "group-0.npz") for folder in (plain, tmp_path / "out"))
    assert left.keys() == right.keys() and all(np.array_equal(left[k], right[k], equal_nan=True) for k in left)
    assert read_sealed_json(plain / "summary.json") == read_sealed_json(tmp_path / "out" / "summary.json")
    for arm in (path.name for path in (plain / "tb").iterdir()):
        curves = []
        for folder in (plain, tmp_path / "out"):
            shown = EventAccumulator(str(folder / "tb" / arm))
            shown.Reload()
            curves.append({tag: [(e.step, e.value) for e in shown.Scalars(tag)] for tag in shown.Tags()["scalars"]})
            curves[-1] = {tag: points for tag, points in curves[-1].items() if not tag.startswith("results/")}
        assert curves[0] == curves[1] and curves[0]
    assert not (tmp_path / "out" / "work").exists()
