"""What a part of a group needs before it is trained: its plan, its probes, its programs, the states it starts from.

Programs are compiled several at once, and those of the next group while this one is trained: XLA lets other threads run
meanwhile, and what it makes of a program does not depend on them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from rnnjax import devices
from rnnjax.config.schema import Study
from rnnjax.errors import Stopped
from rnnjax.probes import applicable, outline
from rnnjax.settings import Spec
from rnnjax.studies.parts import Part, part_plans, runs_of_part
from rnnjax.studies.plan import Plan
from rnnjax.tasks.windows import held_out_window, training_data
from rnnjax.training.parallel import Program, Run, compile_program, init_states
from rnnjax.training.state import TrainState
from rnnjax.types import Facts, Probe, Task

LONGEST_RECORD = 60  # rows of one chunk
POLL_SECONDS = 0.2  # how long a signal waits while programs are compiled
Result = TypeVar("Result")


class GroupSetup(NamedTuple):
    """A part of a group, ready to be trained."""

    part: Part
    runs: list[Run]
    spec: Spec
    plans: list[tuple[int, Plan]]  # as `part_plans`
    plan: Plan  # the one in force, of the applicable probes
    probes: Mapping[str, Probe | Facts]
    outlines: Mapping[str, Mapping[str, np.ndarray]]  # probe -> its values, with meaningless numbers
    program: Program
    start: TrainState  # [R]


def set_up_part(
    pool: ThreadPoolExecutor, folder: Path, study: Study, group: Sequence[Run], task: Task, part: Part
) -> GroupSetup:
    """Plan a part and compile its programs, unless it was trained to its end before.

    Args: pool: of threads that compile. folder: of the run. Raises: as `compile_program`.
    """
    runs = runs_of_part(study, group, part)
    start = pool.submit(init_states, runs)
    spec = runs[0].spec.program
    plans = part_plans(study, spec, part)
    plan = plans[-1][1]
    probes = applicable(plan.probes, spec, task)
    plan = plan._replace(probes={name: plan.probes[name] for name in probes})
    data = training_data(task, spec)
    held_out = held_out_window(task, spec.window, spec.carry == "carried") if plan.checks else None
    program = compile_program(runs, data, LONGEST_RECORD, held_out)
    trained = (folder / "checkpoints" / part.folder / str(spec.steps)).exists()
    measures = [probe.measure for probe in probes.values() if isinstance(probe, Probe)]
    jobs = [pool.submit(job) for job in ([] if trained else program.compilations(measures))]
    outlines = {name: outline(probe, spec) for name, probe in probes.items()}
    for job in jobs:
        job.result()
    return GroupSetup(part, runs, spec, plans, plan, probes, outlines, program, start.result())


@contextmanager
def compiler_threads() -> Iterator[ThreadPoolExecutor]:
    """Threads for `set_up_part`: one plans while the others compile.

    At the end what has not begun is dropped, and after a signal what has begun is not waited for.
    """
    pool = ThreadPoolExecutor(1 + devices.cpu_count(), thread_name_prefix="compile")
    to_the_end = True
    try:
        yield pool
    except Stopped:
        to_the_end = False
        raise
    finally:
        pool.shutdown(to_the_end, cancel_futures=True)


def one_ahead(
    pool: ThreadPoolExecutor, jobs: Sequence[Callable[[], Result]], while_waiting: Callable[[], None]
) -> Iterator[Result]:
    """The results of jobs in their order, each begun in another thread when the one before it is done.

    Args: while_waiting: called several times a second; what it raises ends the waiting.
    """
    begun = [pool.submit(job) for job in jobs[:1]]
    for following in range(1, len(jobs) + 1):
        [job] = begun
        while not wait([job], POLL_SECONDS).done:
            while_waiting()
        begun = [pool.submit(job) for job in jobs[following : following + 1]]
        yield job.result()
