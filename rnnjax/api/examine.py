"""The doctor for everything that the public functions return, and for networks that rnnjax did not build."""

from os import PathLike
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.api.arguments import python_names
from rnnjax.api.examine_torch import open_torch
from rnnjax.api.networks import Network
from rnnjax.api.results import Results
from rnnjax.api.train_result import TrainResult
from rnnjax.doctor import Diagnosis
from rnnjax.doctor import examine as examine_any
from rnnjax.doctor.examine import diagnose
from rnnjax.doctor.examine_run import examine_folder, load_curves, load_task
from rnnjax.doctor.from_training import build_curves, build_input
from rnnjax.doctor.inputs import observe
from rnnjax.doctor.training_curves import TrainingCurves
from rnnjax.errors import BadInput
from rnnjax.interop.torch_entries import is_torch_module
from rnnjax.settings import HParams, Spec
from rnnjax.training.parallel import Run, init_states
from rnnjax.types import Params, Task


def examine(
    network: Any, params: Params | None = None, batch: Any = None, *, arm: str | None = None, **options: Any
) -> Diagnosis:
    """Check a network for the faults that the doctor knows; print the result, or see `.findings` and `.checks`.

    Args:
        network: a `TrainResult`, a `Network`, `Results` or a run folder, which know all that is needed; a network of
            `from_torch` and the like with a `batch`, and a `reference` to compare it with; a module of torch with a
            `batch` and its `loss`, a function (module, inputs, targets) -> scalar; or any other network with `params`
            and a `batch`: a pure function apply(params, carry, x) -> (carry, y), a Flax module, a cell, or a `Spec`.
        arm: of a run folder or of `Results`; None = its baseline, else the first.
        params, batch, options: as in `rnnjax.doctor.examine`: batch = (inputs, targets), time first; hp, whole, carry,
            objective, held_out, record, floor, before, reference.

    Raises: BadInput for an argument that breaks its rule.

    Example:
        >>> diagnosis = rj.examine(run)
        >>> len(diagnosis.checks) > 20
        True
        >>> def memoryless(params, carry, x):  # one step of a batch [B, 1]; the carry is never used
        ...     return carry, x @ params["kernel"]
        >>> wave = jax.numpy.sin(jax.numpy.arange(30.0)).reshape(15, 2, 1)  # time, batch, features
        >>> kernel = {"kernel": jax.numpy.ones((1, 1))}
        >>> found = rj.examine(memoryless, kernel, (wave[:-1], wave[1:]), carry=jax.numpy.zeros((2, 1)))
        >>> found.findings[0].name
        'no_memory'
    """
    if is_torch_module(network) or (isinstance(network, Network) and network.is_imported):
        given = params if batch is None and isinstance(params, tuple) else batch
        if given is None:
            raise BadInput("examine: got an imported network without a batch; expected batch = (inputs, targets)")
        if not isinstance(network, Network):
            network, options = open_torch(network, given, options)
        return examine_any(network.spec, network.params, given, hp=network.hp, **options)
    if isinstance(network, TrainResult | Network | Results | str | PathLike):
        check_nothing_else({"params": params, "batch": batch} | options)
        with python_names():
            return examine_known(network, arm)
    if params is None or batch is None:
        kinds = "a TrainResult, a Network, Results or a run folder"
        raise BadInput(f"examine: got {type(network).__name__} without params and batch; expected both, or {kinds}")
    if arm is not None:
        raise BadInput("arm: got one for a single network; expected none")
    return examine_any(network, params, batch, **options)


def check_nothing_else(options: dict[str, Any]) -> None:
    """Raises: BadInput for an argument that does not apply to a network of rnnjax."""
    for name, value in options.items():
        if value is not None:
            raise BadInput(f"{name}: got one for a network of rnnjax, which has its own; expected none")


def examine_known(network: Any, arm: str | None) -> Diagnosis:
    """The diagnosis of networks that rnnjax has trained."""
    if isinstance(network, Results):
        return examine_folder(network.folder, arm)[1]
    if isinstance(network, str | PathLike):
        return examine_folder(Path(network), arm)[1]
    if arm is not None:
        raise BadInput("arm: got one for networks of a single arm; expected none")
    return examine_result(network) if isinstance(network, TrainResult) else examine_network(network)


def examine_result(result: TrainResult) -> Diagnosis:
    """The diagnosis of all networks of a training."""
    arm = result.arm
    curves = build_curves(result.spec, result.hp, arm.rows, arm.row_steps, arm.diverged_at)
    runs = [Run(0, result.spec, result.hp._replace(seed=seed)) for seed in result.seeds]
    return examine_states(result.spec, result.hp, result.task, result.params, runs, curves)


def examine_network(network: Network) -> Diagnosis:
    """The diagnosis of one network, with its curves where its run folder has them."""
    loaded, folder = network.loaded, network.folder
    task = network.task or load_task(folder or Path(), loaded)
    curves = load_curves(folder, loaded, [network.seed]) if folder else None
    params = jax.tree.map(lambda leaf: np.asarray(leaf)[None], network.params)
    return examine_states(network.spec, network.hp, task, params, [Run(0, network.spec, network.hp)], curves)


def examine_states(
    spec: Spec, hp: HParams, task: Task, params: Params, runs: list[Run], curves: TrainingCurves | None
) -> Diagnosis:
    """The diagnosis of networks [R] of one arm."""
    setup = build_input(spec, hp, task, jax.tree.map(jnp.asarray, params), init_states(runs).params)
    return diagnose(setup, observe(setup), curves)
