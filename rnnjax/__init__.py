"""rnnjax: recurrent networks as pure functions, trained many seeds at a time, judged with intervals.

The names below are loaded on first use: `import rnnjax` loads no JAX. docs/python_api.md describes them.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnjax.analysis.rules import RULES as RULES
    from rnnjax.api.dynamics import fixed_points as fixed_points
    from rnnjax.api.dynamics import lyapunov_exponents as lyapunov_exponents
    from rnnjax.api.dynamics import measure_probe as measure_probe
    from rnnjax.api.examine import examine as examine
    from rnnjax.api.exports import to_stablehlo as to_stablehlo
    from rnnjax.api.interop import from_torch as from_torch
    from rnnjax.api.interop import to_torch as to_torch
    from rnnjax.api.interop_keras import from_keras as from_keras
    from rnnjax.api.interop_keras import to_keras as to_keras
    from rnnjax.api.interop_onnx import from_onnx as from_onnx
    from rnnjax.api.interop_onnx import to_onnx as to_onnx
    from rnnjax.api.interop_trees import from_equinox as from_equinox
    from rnnjax.api.interop_trees import from_haiku as from_haiku
    from rnnjax.api.interop_trees import from_linen as from_linen
    from rnnjax.api.interop_trees import from_nnx as from_nnx
    from rnnjax.api.interop_trees import to_equinox as to_equinox
    from rnnjax.api.interop_trees import to_haiku as to_haiku
    from rnnjax.api.interop_trees import to_linen as to_linen
    from rnnjax.api.interop_trees import to_nnx as to_nnx
    from rnnjax.api.networks import Network as Network
    from rnnjax.api.networks import load_network as load_network
    from rnnjax.api.registries import register_cell as register_cell
    from rnnjax.api.registries import register_initializer as register_initializer
    from rnnjax.api.registries import register_optimizer as register_optimizer
    from rnnjax.api.registries import register_probe as register_probe
    from rnnjax.api.registries import register_rule as register_rule
    from rnnjax.api.registries import register_schedule as register_schedule
    from rnnjax.api.registries import register_task as register_task
    from rnnjax.api.results import Results as Results
    from rnnjax.api.results import load_results as load_results
    from rnnjax.api.setup import setup_devices as setup_devices
    from rnnjax.api.studies import Study as Study
    from rnnjax.api.studies import run_study as run_study
    from rnnjax.api.tasks import grammar_task as grammar_task
    from rnnjax.api.tasks import recall_task as recall_task
    from rnnjax.api.tasks import series_task as series_task
    from rnnjax.api.tasks import text_task as text_task
    from rnnjax.api.train import make_train as make_train
    from rnnjax.api.train import train as train
    from rnnjax.api.train_result import TrainResult as TrainResult
    from rnnjax.errors import BadInput as BadInput
    from rnnjax.networks.cells import CELLS as CELLS
    from rnnjax.networks.initializers import INITIALIZERS as INITIALIZERS
    from rnnjax.probes import PROBES as PROBES
    from rnnjax.settings import HParams as HParams
    from rnnjax.settings import Spec as Spec
    from rnnjax.settings import TaskSpec as TaskSpec
    from rnnjax.tasks import TASKS as TASKS
    from rnnjax.training.optimizers import OPTIMIZERS as OPTIMIZERS
    from rnnjax.training.schedules import SCHEDULES as SCHEDULES

__version__ = "0.2.0"

_MODULES = {  # name -> the module that defines it, in the order of docs/python_api.md
    "setup_devices": "api.setup",
    "Spec": "settings",
    "HParams": "settings",
    "TaskSpec": "settings",
    "text_task": "api.tasks",
    "series_task": "api.tasks",
    "grammar_task": "api.tasks",
    "recall_task": "api.tasks",
    "train": "api.train",
    "TrainResult": "api.train_result",
    "make_train": "api.train",
    "Study": "api.studies",
    "run_study": "api.studies",
    "load_results": "api.results",
    "Results": "api.results",
    "load_network": "api.networks",
    "Network": "api.networks",
    "from_torch": "api.interop",
    "to_torch": "api.interop",
    "from_linen": "api.interop_trees",
    "to_linen": "api.interop_trees",
    "from_nnx": "api.interop_trees",
    "to_nnx": "api.interop_trees",
    "from_haiku": "api.interop_trees",
    "to_haiku": "api.interop_trees",
    "from_equinox": "api.interop_trees",
    "to_equinox": "api.interop_trees",
    "from_keras": "api.interop_keras",
    "to_keras": "api.interop_keras",
    "from_onnx": "api.interop_onnx",
    "to_onnx": "api.interop_onnx",
    "to_stablehlo": "api.exports",
    "examine": "api.examine",
    "lyapunov_exponents": "api.dynamics",
    "fixed_points": "api.dynamics",
    "measure_probe": "api.dynamics",
    "CELLS": "networks.cells",
    "register_cell": "api.registries",
    "INITIALIZERS": "networks.initializers",
    "register_initializer": "api.registries",
    "OPTIMIZERS": "training.optimizers",
    "register_optimizer": "api.registries",
    "SCHEDULES": "training.schedules",
    "register_schedule": "api.registries",
    "TASKS": "tasks",
    "register_task": "api.registries",
    "PROBES": "probes",
    "register_probe": "api.registries",
    "RULES": "analysis.rules",
    "register_rule": "api.registries",
    "BadInput": "errors",
}

__all__ = [*_MODULES]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'rnnjax' has no attribute {name!r}")
    return getattr(importlib.import_module(f"rnnjax.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
