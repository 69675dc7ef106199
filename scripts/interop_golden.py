"""Write tests/data/interop_LIBRARY.npz: weights, outputs, states and gradients of the cells of another library.

Needs that library and NumPy, not rnnjax: `python scripts/interop_golden.py torch haiku equinox`. Numbers are float64;
T = 1, 9 and 200 steps of which the last 9 outputs are kept. The loss of the gradients is the sum of sin(output) over
all outputs and states.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(__file__).parents[1] / "tests" / "data"
B, D, H, SYMBOLS = 2, 3, 4, 5
LENGTHS, KEPT = (1, 9, 200), 9
Arrays = dict[str, np.ndarray]


def main(libraries: list[str]) -> None:
    for library in libraries:
        arrays = RECORDERS[library]()
        named: dict[str, Any] = {name: np.asarray(array) for name, array in arrays.items()}
        np.savez_compressed(DATA / f"interop_{library}.npz", **named)
        print(f"{library}: {len(arrays)} arrays")


def prefixed(prefix: str, arrays: dict[str, Any]) -> Arrays:
    return {f"{prefix}|{name}": np.asarray(array) for name, array in arrays.items()}


def record_torch() -> Arrays:
    """nn.RNN, nn.GRU and nn.LSTM; layers and directions; an embedding and a readout; packed sequences."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    layers = {
        "rnn": nn.RNN(D, H),
        "relu": nn.RNN(D, H, nonlinearity="relu"),
        "gru": nn.GRU(D, H),
        "lstm": nn.LSTM(D, H),
        "deep": nn.LSTM(D, H, num_layers=2, bidirectional=True),
        "deep_gru": nn.GRU(D, H, num_layers=2, bias=False),
    }
    found: Arrays = {}
    for name, layer in layers.items():
        found |= prefixed(f"{name}|weights", numbers(layer.state_dict()))
        for steps in LENGTHS:
            found |= prefixed(f"{name}|{steps}", run_torch(layer, torch.randn(steps, B, D)))
    found |= prefixed("packed|weights", numbers(layers["deep"].state_dict()))
    return found | prefixed("packed|9", run_packed(layers["deep"])) | prefixed("model", run_model())


def numbers(tensors: Any) -> Arrays:
    return {name: tensor.detach().numpy() for name, tensor in tensors.items()}


def run_torch(layer: Any, x: Any) -> Arrays:
    """Outputs, states and gradients from a random initial state."""
    import torch

    count = layer.num_layers * (1 + layer.bidirectional)
    start = [torch.randn(count, B, H) for _ in range(1 + (layer.mode == "LSTM"))]
    x.requires_grad_()
    layer.zero_grad()
    outputs, states = layer(x, tuple(start) if len(start) > 1 else start[0])
    states = states if isinstance(states, tuple) else (states,)
    (outputs.sin().sum() + sum(state.sin().sum() for state in states)).backward()
    gradients = {f"d_{name}": value.grad for name, value in layer.named_parameters()}
    inputs = {"x": x, "h0": start[0], **({"c0": start[1]} if len(start) > 1 else {})}
    ends = dict(zip(("h", "c"), states, strict=False))
    return numbers({**inputs, "y": outputs[-KEPT:], **ends, **gradients, "d_x": x.grad[-KEPT:]})


def run_packed(layer: Any) -> Arrays:
    """Two sequences of 9 and 4 steps."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    x, lengths = torch.randn(9, B, D), torch.tensor([9, 4])
    outputs, (h, c) = layer(pack_padded_sequence(x, lengths))
    return numbers({"x": x, "y": pad_packed_sequence(outputs)[0], "h": h, "c": c, "lengths": lengths})


def run_model() -> Arrays:
    """An embedding, a GRU that reads [B, T, D], and a linear layer: its state dict, ids and logits."""
    import torch
    from torch import nn

    parts = nn.ModuleDict({"embedding": nn.Embedding(SYMBOLS, D), "rnn": nn.GRU(D, H, batch_first=True)})
    parts["head"] = nn.Linear(H, SYMBOLS)
    ids = torch.randint(SYMBOLS, (B, 9))
    logits = parts["head"](parts["rnn"](parts["embedding"](ids))[0])
    return prefixed("weights", numbers(parts.state_dict())) | numbers({"ids_BT": ids, "y_BTO": logits})


def record_haiku() -> Arrays:
    """hk.VanillaRNN, hk.GRU and hk.LSTM."""
    import haiku as hk
    import jax

    jax.config.update("jax_enable_x64", True)
    cells = {"vanilla_rnn": hk.VanillaRNN, "gru": hk.GRU, "lstm": hk.LSTM}

    def stack(kind: Any) -> Any:
        def run(x: Any, start: Any) -> Any:
            return hk.dynamic_unroll(kind(H), x, start)

        return hk.without_apply_rng(hk.transform(run))

    found: Arrays = {}
    rng = np.random.default_rng(0)
    for name, kind in cells.items():
        network = stack(kind)
        shape = [rng.normal(size=(B, H)) for _ in range(1 + (name == "lstm"))]
        start = hk.LSTMState(*shape) if name == "lstm" else shape[0]
        params = network.init(jax.random.key(0), rng.normal(size=(1, B, D)), start)
        params = jax.tree.map(lambda leaf: 0.3 * rng.normal(size=leaf.shape), params)
        found |= prefixed(f"{name}|weights", join_names(params))
        for steps in LENGTHS:
            x = rng.normal(size=(steps, B, D))
            found |= prefixed(f"{name}|{steps}", run_jax(network.apply, params, x, start))
    return found


def join_names(tree: Any) -> Arrays:
    return {f"{module}/{name}": np.asarray(leaf) for module, leaves in tree.items() for name, leaf in leaves.items()}


def run_jax(apply: Callable[..., Any], params: Any, x: np.ndarray, start: Any) -> Arrays:
    """Outputs, states and gradients of a function (params, x, (h, c) or h) -> (outputs, (h, c) or h)."""
    import jax
    import jax.numpy as jnp

    def loss(params: Any) -> Any:
        outputs, state = apply(params, x, start)
        return sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves((outputs, state))), (outputs, state)

    (_, (outputs, state)), gradients = jax.jit(jax.value_and_grad(loss, has_aux=True))(params)
    starts = dict(zip(("h0", "c0"), jax.tree.leaves(start), strict=False))
    ends = dict(zip(("h", "c"), jax.tree.leaves(state), strict=False))
    flat = join_names(gradients) if all(isinstance(leaf, dict) for leaf in gradients.values()) else gradients
    return {"x": x, **starts, "y": outputs[-KEPT:], **ends, **{f"d_{name}": leaf for name, leaf in flat.items()}}


def record_equinox() -> Arrays:
    """eqx.nn.GRUCell and eqx.nn.LSTMCell, run by lax.scan."""
    import equinox as eqx
    import jax

    jax.config.update("jax_enable_x64", True)
    rng = np.random.default_rng(0)
    found: Arrays = {}
    for name, kind in {"gru": eqx.nn.GRUCell, "lstm": eqx.nn.LSTMCell}.items():
        cell = kind(D, H, key=jax.random.key(0))
        shape = [rng.normal(size=(B, H)) for _ in range(1 + (name == "lstm"))]
        start = tuple(shape) if name == "lstm" else shape[0]
        fields = ["weight_ih", "weight_hh", "bias", *(["bias_n"] if name == "gru" else [])]
        params = {field: 0.6 * rng.normal(size=getattr(cell, field).shape) for field in fields}

        def apply(params: Any, x: Any, start: Any, cell: Any = cell, fields: Any = fields) -> Any:
            filled = cell
            for field in fields:
                filled = eqx.tree_at(lambda m, field=field: getattr(m, field), filled, params[field])

            def step(state: Any, x_BD: Any) -> Any:
                after = jax.vmap(lambda x, s: filled(x, s))(x_BD, state)
                return after, after[0] if isinstance(after, tuple) else after

            state, outputs = jax.lax.scan(step, start, x)
            return outputs, state

        found |= prefixed(f"{name}|weights", params)
        for steps in LENGTHS:
            found |= prefixed(f"{name}|{steps}", run_jax(apply, params, rng.normal(size=(steps, B, D)), start))
    return found


RECORDERS = {"torch": record_torch, "haiku": record_haiku, "equinox": record_equinox}

if __name__ == "__main__":
    main(sys.argv[1:] or list(RECORDERS))
