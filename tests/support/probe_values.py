"""The values of a probe on one network of a series, with given parameters."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.tasks import TASKS
from rnnjax.training.state import init_state
from rnnjax.types import Params, Probe, Task

H, T = 4, 6
FAST = {"xla_backend_optimization_level": 0}


def task_of(**fields: Any) -> Task:
    return TASKS["series"](TaskSpec(name="series", length=600, validation=0.5, **{"series": "ar"} | fields), None)


def spec_of(made: Task, **fields: Any) -> Spec:
    known = {"inputs": made.inputs, "outputs": made.outputs, "loss": made.loss, "task": TaskSpec(name="series")}
    return Spec(**known | {"hidden": H, "window": T, "batch": T, "activation": "identity", "carry": "reset"} | fields)


def values_of(probe: Probe, spec: Spec, params: Params | None = None, hp: HParams = HParams()) -> dict[str, Any]:  # noqa: B008
    def of_run(hp: HParams) -> dict[str, jax.Array]:
        state = init_state(spec, hp)
        return probe.measure(state if params is None else state.replace(params=params), hp, jnp.int32(0))

    batched = jax.tree.map(lambda value: jnp.asarray(value)[None], hp)
    measured = jax.jit(jax.vmap(of_run), compiler_options=FAST)(batched)
    return {name: values[0] for name, values in probe.summarise(jax.tree.map(np.asarray, measured)).items()}
