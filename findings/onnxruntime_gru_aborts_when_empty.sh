#!/usr/bin/env bash
# onnxruntime: a GRU that reads no steps, and a GRU or LSTM that reads no sequences, ends the whole process.
#
# Expected: an input with 0 steps or 0 sequences gives outputs of size 0, as the operator RNN does, or an exception that
#   Python can catch, as for every other bad shape.
# Instead (onnxruntime 1.32.0, CPU): `terminate called without an active exception`, SIGABRT. GRU with X of shape
#   [0, B, D] or [T, 0, D], LSTM with [T, 0, D]. LSTM with [0, B, D] and RNN return; the model is valid and has both
#   axes declared symbolic.
# Why it matters: an empty batch is what a filter leaves on a quiet day, and no steps are what a new user or an empty text
#   has. try / except does not help: a server goes down with all its other requests, without a traceback.
# Way around: look at the shape before `session.run`, and answer empty inputs without it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$folder"
cat > one.py <<'PYTHON'
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper, numpy_helper

INPUTS, HIDDEN = 3, 4
operator, steps, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rows = {"RNN": 1, "GRU": 3, "LSTM": 4}[operator] * HIDDEN
node = helper.make_node(operator, list("XWR"), ["Y"], hidden_size=HIDDEN)
x = helper.make_tensor_value_info("X", TensorProto.FLOAT, ["T", "B", INPUTS])
y = helper.make_tensor_value_info("Y", TensorProto.FLOAT, ["T", 1, "B", HIDDEN])
shapes = {"W": (1, rows, INPUTS), "R": (1, rows, HIDDEN)}
constants = [numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in shapes.items()]
graph = helper.make_graph([node], "graph", [x], [y], constants)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
checker.check_model(model, full_check=True)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
try:
    print(session.run(None, {"X": np.zeros((steps, batch, INPUTS), np.float32)})[0].shape)
except Exception as error:
    print(type(error).__name__)
PYTHON
cat > all.py <<'PYTHON'
import signal
import subprocess
import sys
from importlib.metadata import version

EXPECTED = {  # operator, steps, sequences -> whether the process is aborted
    ("RNN", 0, 2): False, ("RNN", 5, 0): False, ("LSTM", 0, 2): False, ("LSTM", 5, 0): True, ("GRU", 0, 2): True,
    ("GRU", 5, 0): True, ("GRU", 5, 2): False,
}
print("onnx", version("onnx"), "onnxruntime", version("onnxruntime"))
checks = []
for case, aborted in EXPECTED.items():
    run = subprocess.run([sys.executable, "-I", "one.py", *map(str, case)], capture_output=True, text=True)
    last = [*(run.stdout + run.stderr).strip().splitlines(), ""][0]
    print(f"{case[0]} with {case[1]} steps, {case[2]} sequences: exit code {run.returncode} {last}")
    checks.append((run.returncode == -signal.SIGABRT) == aborted and (aborted or run.returncode == 0))
print("as described" if all(checks) else "CHANGED")
sys.exit(not all(checks))
PYTHON
"$folder/env/bin/python" -I all.py
