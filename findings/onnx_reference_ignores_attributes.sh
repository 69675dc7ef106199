#!/usr/bin/env bash
# ONNX: the reference evaluator ignores clip, activations, input_forget and sequence_lens of LSTM and GRU.
#
# Expected: onnx.reference.ReferenceEvaluator, the standard's own implementation of the operators, honours the
#   attributes and inputs that the standard defines for RNN, GRU and LSTM, or refuses those it lacks.
# Instead (onnx 1.23.2): "clip" (of all three), "activations" (of GRU and LSTM), "input_forget" (of LSTM) and the
#   input "sequence_lens" (of all three) change nothing: the evaluator returns the numbers of the plain operator.
#   RNN alone refuses an activation that it does not know. onnxruntime 1.31.1 honours all four; a NumPy loop
#   of the standard's equations of GRU agrees with onnxruntime on clip and on activations.
# Why it matters: an exporter of recurrent layers is tested against this evaluator because it needs no runtime. A
#   wrong attribute or a wrong length passes such a test, and a right model seems to fail against onnxruntime.
# Way around: take onnxruntime or an own loop as the reference for recurrent operators.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6
cd "$folder"
"$folder/env/bin/python" -I - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

STEPS, BATCH, INPUTS, HIDDEN = 6, 3, 4, 5
LENGTHS = np.array([6, 3, 1], np.int32)
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def arrays(operator):
    random = np.random.default_rng(0)
    size = GATES[operator] * HIDDEN
    shapes = {"X": (STEPS, BATCH, INPUTS), "W": (1, size, INPUTS), "R": (1, size, HIDDEN), "B": (1, 2 * size)}
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def outputs(operator, lengths=False, **attributes):
    """Y of onnxruntime and of the reference evaluator, each [T, 1, B, H]."""
    values = arrays(operator)
    given = [helper.make_tensor_value_info("X", TensorProto.FLOAT, [STEPS, BATCH, INPUTS])]
    feeds = {"X": values["X"]}
    if lengths:
        given.append(helper.make_tensor_value_info("L", TensorProto.INT32, [BATCH]))
        feeds["L"] = LENGTHS
    names = ["X", "W", "R", "B"] + ["L"] * lengths
    node = helper.make_node(operator, names, ["Y"], hidden_size=HIDDEN, **attributes)
    result = helper.make_tensor_value_info("Y", TensorProto.FLOAT, [STEPS, 1, BATCH, HIDDEN])
    constants = [numpy_helper.from_array(values[name], name) for name in "WRB"]
    graph = helper.make_graph([node], "graph", given, [result], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)[0], ReferenceEvaluator(model).run(None, feeds)[0]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def gru_loop(clip=np.inf, new=np.tanh):
    """z, r, h; the reset before the product: n = new(W x + Wb + R (r h) + Rb), h' = (1 - z) n + z h."""
    values = {name: value.astype(float) for name, value in arrays("GRU").items()}
    kernel, recurrent = values["W"][0], values["R"][0]
    bias, recurrent_bias = np.split(values["B"][0], 2)
    h, steps = np.zeros((BATCH, HIDDEN)), []
    parts = [slice(i * HIDDEN, (i + 1) * HIDDEN) for i in range(3)]

    def sums(x, h, part):
        return np.clip(x @ kernel[part].T + bias[part] + h @ recurrent[part].T + recurrent_bias[part], -clip, clip)

    for x in values["X"]:
        z, r = sigmoid(sums(x, h, parts[0])), sigmoid(sums(x, h, parts[1]))
        h = (1 - z) * new(sums(x, r * h, parts[2])) + z * h
        steps.append(h)
    return np.stack(steps)[:, None]


def gap(a, b):
    return float(np.abs(a - b).max())


def relu(z):
    return np.maximum(z, 0)


print("onnx", version("onnx"), "onnxruntime", version("onnxruntime"))
CASES = {
    "RNN": {"clip": {"clip": 0.3}, "sequence_lens": {"lengths": True}},
    "GRU": {
        "clip": {"clip": 0.3},
        "activations": {"activations": ["Sigmoid", "Relu"]},
        "sequence_lens": {"lengths": True},
    },
    "LSTM": {
        "clip": {"clip": 0.3},
        "activations": {"activations": ["Sigmoid", "Relu", "Relu"]},
        "input_forget": {"input_forget": 1},
        "sequence_lens": {"lengths": True},
    },
}
checks = []
for operator, cases in CASES.items():
    runtime, reference = outputs(operator)
    print(f"{operator} plain: onnxruntime against reference {gap(runtime, reference):.1e}")
    checks.append(gap(runtime, reference) < 1e-5)
    for name, options in cases.items():
        changed, unmoved = outputs(operator, **options)
        moves = gap(changed, runtime), gap(unmoved, reference)
        print(f"{operator} {name}: changes onnxruntime by {moves[0]:.2f}, the reference by {moves[1]:.2f}")
        checks.append(moves[0] > 0.1 and moves[1] == 0)
loops = {
    "plain": (gru_loop(), outputs("GRU")[0]),
    "clip": (gru_loop(clip=0.3), outputs("GRU", clip=0.3)[0]),
    "activations": (gru_loop(new=relu), outputs("GRU", activations=["Sigmoid", "Relu"])[0]),
}
for name, (loop, runtime) in loops.items():
    print(f"GRU {name}: onnxruntime against the loop {gap(loop, runtime):.1e}")
    checks.append(gap(loop, runtime) < 1e-4)
print("as described" if all(checks) else "CHANGED")
sys.exit(not all(checks))
PYTHON
