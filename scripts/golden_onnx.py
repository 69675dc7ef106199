"""Write the models of ONNX that the tests of `rnnjax.from_onnx` read: torch's, by its two exporters, with outputs.

Needs what the tests do not: pip install torch onnx onnxscript.
"""

from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parents[1] / "tests" / "data" / "onnx"
SYMBOLS, INPUTS, HIDDEN, OUTPUTS, STREAMS, STEPS = 7, 3, 4, 2, 2, 5


def make_module(kind: str, layers: int, bidirectional: bool, summary: str) -> Any:
    """An embedding, a recurrent module with the batch first, and a readout of each step, or of the end.

    Args: summary: "steps", "step" (the last outputs) or "state" (the last state of the last layer).
    """
    import torch

    class Module(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(SYMBOLS, INPUTS)
            options = {"bidirectional": bidirectional, "batch_first": True}
            self.rnn = getattr(torch.nn, kind)(INPUTS, HIDDEN, layers, **options)
            self.readout = torch.nn.Linear(HIDDEN * (1 + bidirectional), OUTPUTS)

        def forward(self, ids: Any) -> Any:
            outputs, state = self.rnn(self.embedding(ids))
            last = state[0] if kind == "LSTM" else state
            return self.readout({"steps": outputs, "step": outputs[:, -1], "state": last[-1]}[summary])

    torch.manual_seed(0)
    return Module().eval()


MODULES = {
    "lstm": ("LSTM", 2, True, "steps"),
    "gru": ("GRU", 2, False, "state"),
    "rnn": ("RNN", 1, False, "step"),
}


def write_models(name: str) -> None:
    """A module by both exporters; the new one has no operator for nn.RNN."""
    import torch

    FOLDER.mkdir(parents=True, exist_ok=True)
    module = make_module(*MODULES[name])
    ids = torch.randint(0, SYMBOLS, (STREAMS, STEPS))
    np.savez_compressed(FOLDER / f"{name}.npz", ids=ids.numpy(), y=module(ids).detach().numpy())
    sizes = {"dynamic_axes": {"ids": {0: "B", 1: "T"}}, "input_names": ["ids"]}
    torch.onnx.export(module, (ids,), FOLDER / f"{name}_script.onnx", dynamo=False, **sizes)
    if name != "rnn":
        free = torch.export.Dim.AUTO
        options = {"dynamic_shapes": ({0: free, 1: free},), "external_data": False}
        torch.onnx.export(module, (ids,), FOLDER / f"{name}_dynamo.onnx", dynamo=True, **options)
    for path in FOLDER.glob("*.onnx"):
        without_origin(path)


def without_origin(path: Path) -> None:
    """Removes where in the source each node came from, which is most of a file."""
    import onnx

    model = onnx.load(path)
    for part in (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    model.ClearField("metadata_props")
    onnx.save(model, path)


if __name__ == "__main__":
    for name in MODULES:
        write_models(name)
