"""CPU seconds of a 2 x 512 LSTM on a window, here and in onnxruntime, in turns in one process.

Needs: pip install 'rnnjax[interop]' onnxruntime. Prints the median of the turns, and of their ratios.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import rnnjax as rj
from rnnjax.networks.model import build_network
from rnnjax.studies.load_networks import LoadedNetwork

STEPS, BATCH, INPUTS, OUTPUTS = 100, 32, 64, 64


def make_network(hidden: int, layers: int) -> rj.Network:
    """An LSTM with its starting weights."""
    spec = rj.Spec(cell="lstm", hidden=hidden, layers=layers, inputs=INPUTS, outputs=OUTPUTS, loss="squared_error")
    params = jax.jit(build_network(spec, rj.HParams()).init)(jax.random.key(0))
    return rj.Network(LoadedNetwork("", 0, spec, rj.HParams(), params, ""))


def make_session(model: Any, threads: int) -> Any:
    """The model in onnxruntime, whose threads do not spin while they wait."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def cpu_seconds(function: Callable[[], Any]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=12)
    options = parser.parse_args()
    network = make_network(options.hidden, options.layers)
    model = rj.to_onnx(network)
    rj.from_onnx(model)
    loading = cpu_seconds(lambda: rj.from_onnx(model))
    session = make_session(model, options.threads)
    x_TBD = np.random.default_rng(0).normal(size=(STEPS, BATCH, INPUTS)).astype(np.float32)
    functions = (lambda: jax.block_until_ready(network.apply(x_TBD)), lambda: session.run(None, {"x": x_TBD}))
    for function in (*functions, *functions):  # compiles, and warms the caches
        function()
    turns = np.array([[cpu_seconds(function) for function in functions] for _ in range(options.turns)])
    gap = np.abs(np.asarray(network(x_TBD)) - session.run(["y"], {"x": x_TBD})[0]).max()
    ours, theirs = np.median(turns, axis=0)
    ratio = np.median(turns[:, 0] / turns[:, 1])
    print(f"from_onnx of the model in memory: {loading:.2f} CPU s")
    print(f"rnnjax {ours:.3f} CPU s, onnxruntime {theirs:.3f} CPU s, ratio {ratio:.2f}, largest difference {gap:.1e}")


if __name__ == "__main__":
    main()
