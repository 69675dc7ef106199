"""Train all groups of a study, part by part, and write the metrics file of each."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np

from rnnjax.settings import TaskSpec
from rnnjax.storage.tree_digest import state_digest
from rnnjax.studies.context import RunContext, stop_where_asked
from rnnjax.studies.group import GroupTrainer
from rnnjax.studies.group_setup import GroupSetup, compiler_threads, one_ahead, set_up_part
from rnnjax.studies.load_results import Recorded, to_arrays
from rnnjax.studies.parts import Part, group_parts, groups_of_study
from rnnjax.studies.tensorboard import log_recorded, rows_by_arm
from rnnjax.training.parallel import Run
from rnnjax.types import Task


def train_groups(context: RunContext, tasks: dict[TaskSpec, Task]) -> None:
    """Train every arm with every seed, group by group. Raises: as `GroupTrainer.run`."""
    groups = groups_of_study(context.study)
    context.display.plan({name: work(group) for name, group in groups.items()})
    parts = {name: group_parts(context.run.manifest, context.study, name, group) for name, group in groups.items()}
    with compiler_threads() as pool:
        jobs = [
            partial(set_up_part, pool, context.run.path, context.study, group, tasks[group[0].spec.task], part)
            for name, group in groups.items()
            for part in parts[name]
        ]
        setups = one_ahead(pool, jobs, partial(stop_where_asked, context, "stopped; what was trained is saved"))
        for name, group in groups.items():
            train_group(context, name, group, tasks[group[0].spec.task], parts[name], setups)


def work(group: Sequence[Run]) -> float:
    """What the training of a group costs, in comparison with others."""
    spec = group[0].spec
    return float(len(group) * spec.steps * spec.window * spec.batch * spec.layers * (spec.hidden + spec.outputs))


def train_group(
    context: RunContext, name: str, group: list[Run], task: Task, parts: Sequence[Part], setups: Iterator[GroupSetup]
) -> None:
    """Train the parts of a group and write its metrics file. Args: setups: of the parts, in turn."""
    shown = arms_of_one_part(context, group, parts)
    recorded, trees = [], []
    for part in parts:
        context.display.begin(name, group[0].spec.steps, sum(map(len, part.runs.values())))
        with context.clock.phase("compile"):
            setup = next(setups)
        trainer = GroupTrainer(context, name, group, task, setup)
        trainer.run(shown)
        recorded.append(trainer.recorded())
        trees.append(trainer.tree())
    order = group_order(group, recorded)
    whole = merge_recorded(recorded, order)
    split = {arm: rows for arm, rows in rows_by_arm([run.arm for run in group]).items() if arm not in shown}
    with context.clock.phase("io"):
        log_split_arms(context, trainer, split, whole)
        context.run.write_npz(f"metrics/{name}.npz", to_arrays(whole))
        hashes = context.run.manifest.get("state_sha256", {})
        context.run.record(state_sha256=hashes | {name: state_digest(merge_trees(trees, order))})


def arms_of_one_part(context: RunContext, group: Sequence[Run], parts: Sequence[Part]) -> list[int]:
    """The arms whose seeds were all asked for together: their curves can be shown while they are trained."""
    names = {context.study.arms[run.arm].name: run.arm for run in group}
    return [arm for name, arm in names.items() if sum(name in part.runs for part in parts) == 1]


def log_split_arms(context: RunContext, trainer: GroupTrainer, arms: dict[int, np.ndarray], whole: Recorded) -> None:
    """Write the curves of arms to which seeds were added: every mean and interval in them is another one."""
    if not arms:
        return
    names = {context.study.arms[arm].name: rows for arm, rows in arms.items()}
    logger = trainer.tensorboard(names, None)
    log_recorded(logger, whole, trainer.step)
    logger.finish(trainer.step + 1, dict(trainer.final_metrics(names, whole)))


def group_order(group: Sequence[Run], parts: Sequence[Recorded]) -> np.ndarray:
    """The row, in all parts one after the other, of each run of the group."""
    keys = [key for part in parts for key in zip(part.arms.tolist(), part.seeds.tolist(), strict=True)]
    rows = {key: row for row, key in enumerate(keys)}
    return np.array([rows[run.arm, run.hp.seed] for run in group])


def merge_recorded(parts: Sequence[Recorded], order_R: np.ndarray) -> Recorded:
    """The arrays of all parts as those of one group."""
    first = parts[0]
    return first._replace(
        rows={name: np.concatenate([part.rows[name] for part in parts])[order_R] for name in first.rows},
        probes={name: np.concatenate([part.probes[name] for part in parts])[order_R] for name in first.probes},
        diverged_at=np.concatenate([part.diverged_at for part in parts])[order_R],
        seeds=np.concatenate([part.seeds for part in parts])[order_R],
        arms=np.concatenate([part.arms for part in parts])[order_R],
    )


def merge_trees(trees: Sequence[Any], order_R: np.ndarray) -> Any:
    """The checkpoint of a group whose parts have these."""
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[order_R], *trees)
