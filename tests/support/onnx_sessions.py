"""Models of ONNX in onnxruntime."""

from typing import Any

import numpy as np
import pytest

import rnnjax as rj


def session(model: Any) -> Any:
    """The model in onnxruntime, which is quiet about defaults of inputs."""
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    return runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def random_inputs(network: rj.Network, steps: int, streams: int) -> tuple[str, np.ndarray]:
    """The name of the input of a model, and its numbers [T, B, D], or ids [T, B]."""
    rng, spec = np.random.default_rng(steps), network.spec
    if network.vocabulary:
        return "ids", rng.integers(0, spec.inputs, (steps, streams))
    return "x", rng.normal(size=(steps, streams, spec.inputs)).astype(np.float32)


def largest_difference(one: Any, other: Any) -> float:
    return max(float(np.max(np.abs(a - b))) for a, b in zip(one, other, strict=True))
