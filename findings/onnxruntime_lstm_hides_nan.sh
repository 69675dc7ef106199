#!/usr/bin/env bash
# onnxruntime: LSTM and GRU turn NaN into plain numbers, in inputs and in weights.
#
# Expected: a NaN in the input of a sequence at step t makes its outputs NaN from step t on, as in a NumPy loop of the
#   standard's equations, in torch, Keras and JAX, and in onnxruntime's own operator RNN.
# Instead (onnxruntime 1.32.0, CPU): LSTM and GRU with a bias B return finite numbers at every step. So do they with a
#   NaN in W, R or B. Nothing is logged. They are no numbers of the sequence without the NaN either: the gates are set
#   to some value, and later steps go on from there. Without the optional input B the same operators show the NaN.
# Why it matters: a missing value, a division by zero before the network, or a training that diverged and was exported,
#   shows in no output: a monitor that counts NaN stays silent while forecasts are made up. A comparison of an
#   exported model with its source on data with gaps shows a large difference that has nothing to do with the export.
# Way around: check inputs, states and weights for finite numbers before the session (numpy.isfinite), or put IsNaN and
#   Where into the graph.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$folder"
"$folder/env/bin/python" -I - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper, numpy_helper

STEPS, BATCH, INPUTS, HIDDEN = 6, 2, 3, 4
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def outputs(operator, place=None, names="XWRB"):
    """Y [T, 1, B, H] of random weights and inputs, with one NaN in `place`: in X at step 2 of the first sequence."""
    random = np.random.default_rng(0)
    rows = GATES[operator] * HIDDEN
    shapes = {"X": (STEPS, BATCH, INPUTS), "W": (1, rows, INPUTS), "R": (1, rows, HIDDEN), "B": (1, 2 * rows)}
    values = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    if place == "X":
        values["X"][2, 0, 0] = np.nan
    elif place:
        values[place].flat[0] = np.nan
    node = helper.make_node(operator, list(names), ["Y"], hidden_size=HIDDEN)
    x = helper.make_tensor_value_info("X", TensorProto.FLOAT, shapes["X"])
    y = helper.make_tensor_value_info("Y", TensorProto.FLOAT, [STEPS, 1, BATCH, HIDDEN])
    constants = [numpy_helper.from_array(values[name], name) for name in names[1:]]
    graph = helper.make_graph([node], "graph", [x], [y], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"X": values["X"]})[0], values


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def lstm_loop(values):
    """Blocks i, o, f, c: C' = f C + i c, H' = o tanh(C')."""
    kernel, recurrent = values["W"][0], values["R"][0]
    h, cell, steps = np.zeros((BATCH, HIDDEN)), np.zeros((BATCH, HIDDEN)), []
    for x in values["X"]:
        i, o, f, c = np.split(x @ kernel.T + h @ recurrent.T + values["B"].reshape(2, -1).sum(0), 4, axis=1)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(c)
        h = sigmoid(o) * np.tanh(cell)
        steps.append(h)
    return np.stack(steps)[:, None]


print("onnx", version("onnx"), "onnxruntime", version("onnxruntime"))
checks = []
plain, values = outputs("LSTM")
print(f"LSTM without NaN: onnxruntime against the loop {np.abs(plain - lstm_loop(values)).max():.1e}")
checks.append(np.abs(plain - lstm_loop(values)).max() < 1e-5)
broken, values = outputs("LSTM", "X")
print("NaN in X at step 2: the loop       ", lstm_loop(values)[:, 0, 0, 0].round(3))
print("                    onnxruntime    ", broken[:, 0, 0, 0].round(3))
print("                    without the NaN", plain[:, 0, 0, 0].round(3))
checks.append(bool(np.isnan(lstm_loop(values)[2:, 0, 0]).all()))
checks.append(np.abs(broken - plain)[2:, 0, 0].max() > 0.01)
for operator in GATES:
    for place in "XWRB":
        count = int(np.isnan(outputs(operator, place)[0]).sum())
        print(f"{operator}: NaN in {place} gives {count} NaN in Y")
        checks.append(count > 0 if operator == "RNN" else count == 0)
    count = int(np.isnan(outputs(operator, "X", "XWR")[0]).sum())
    print(f"{operator} without B: NaN in X gives {count} NaN in Y")
    checks.append(count > 0)
print("as described" if all(checks) else "CHANGED")
sys.exit(not all(checks))
PYTHON
