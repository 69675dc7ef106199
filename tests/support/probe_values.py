"""The values of a probe on a network with given parameters; programs take these as arguments, to be compiled once."""

from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.tasks import TASKS
from rnnjax.training.state import TrainState, init_state
from rnnjax.types import Params, Probe, Task

H, T = 4, 6
FAST = {"xla_backend_optimization_level": 0}


def task_of(**fields: Any) -> Task:
    return TASKS["series"](TaskSpec(name="series", length=600, validation=0.5, **{"series": "ar"} | fields), None)


def spec_of(made: Task, **fields: Any) -> Spec:
    known = {"inputs": made.inputs, "outputs": made.outputs, "loss": made.loss, "task": TaskSpec(name="series")}
    return Spec(**known | {"hidden": H, "window": T, "batch": T, "activation": "identity", "carry": "reset"} | fields)


def values_of(probe: Probe, spec: Spec, params: Params | None = None, hp: HParams = HParams()) -> dict[str, Any]:  # noqa: B008
    """As `values_with_run_axis`, of the one run."""
    return {name: values[0] for name, values in values_with_run_axis(probe, spec, params, hp).items()}


def hp_of_seeds(seeds: list[int]) -> HParams:
    """Runs that differ in their seeds alone."""
    hp_R = jax.tree.map(lambda value: np.full(len(seeds), value), HParams())
    return hp_R._replace(seed=np.array(seeds))


@cache
def start_states(spec: Spec) -> Any:
    """`init_state` of runs side by side, compiled once for all probes of a network."""
    return jax.jit(jax.vmap(partial(init_state, spec)), compiler_options=FAST)


def values_with_run_axis(
    probe: Probe,
    spec: Spec,
    params: Params | None = None,
    hp: HParams = HParams(),  # noqa: B008
) -> dict[str, Any]:
    """The values of one run, compiled and with a run axis as in a sweep: [1, ...]."""

    def of_run(state: TrainState, hp: HParams) -> dict[str, jax.Array]:
        return probe.measure(state, hp, jnp.int32(0))

    hp_R = jax.tree.map(lambda value: jnp.asarray(value)[None], hp)
    state_R = start_states(spec)(hp_R)
    if params is not None:
        state_R = state_R.replace(params=jax.tree.map(lambda leaf: np.asarray(leaf)[None], params))
    measured = jax.jit(jax.vmap(of_run), compiler_options=FAST)(state_R, hp_R)
    return probe.summarise(jax.tree.map(np.asarray, measured))
