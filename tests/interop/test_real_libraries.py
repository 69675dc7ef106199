"""Our networks in the libraries themselves, where these are installed: what they compute with what we export.

The tests of numbers that they computed are in test_golden.py, which needs none of them.
"""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import rnnjax as rj
from rnnjax.api.interop import network_of_form
from rnnjax.errors import BadInput
from rnnjax.interop.form import GATES, WITH_GATE_BIAS, Layer, NetworkForm, Readout

pytestmark = pytest.mark.slow
T, B, D, H, SYMBOLS = 9, 2, 3, 4, 5
RNG = np.random.default_rng(0)


def random_cell(cell: str, inputs: int = D) -> Any:
    def draw(*shape: int) -> Any:
        return (0.4 * RNG.normal(size=shape)).astype(np.float32)

    columns = len(GATES[cell]) * H
    gate = {"bias": draw(H)} if cell in WITH_GATE_BIAS else {}
    kernels = {"kernel": draw(inputs, columns), "recurrent_kernel": draw(H, columns), "bias": draw(columns)}
    return kernels | {"gate": gate}


def network(cell: str, activation: str = "tanh", both: bool = False, layers: int = 1, ends: bool = False) -> rj.Network:
    """A network with random weights, and with `ends` an embedding and a readout."""
    stack = []
    for number in range(layers):
        inputs = H * (1 + both) if number else D
        stack.append(Layer(cell, random_cell(cell, inputs), random_cell(cell, inputs) if both else None, activation))
    table = RNG.normal(size=(SYMBOLS, D)).astype(np.float32)
    readout = Readout(RNG.normal(size=(H * (1 + both), SYMBOLS)).astype(np.float32), np.ones(SYMBOLS, np.float32))
    return network_of_form(NetworkForm(tuple(stack), table if ends else None, readout if ends else None))


X_TBD = RNG.normal(size=(T, B, D)).astype(np.float32)


@pytest.mark.parametrize(
    ("cell", "activation"), [("elman", "tanh"), ("elman", "relu"), ("gru", "tanh"), ("lstm", "tanh")]
)
def test_torch(cell: str, activation: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    kinds = {"elman": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}
    ours = network(cell, activation, both=True, layers=2, ends=True)
    options = {"nonlinearity": activation} if cell == "elman" else {}
    parts = {"embedding": torch.nn.Embedding(SYMBOLS, D), "rnn": kinds[cell](D, H, 2, bidirectional=True, **options)}
    model = torch.nn.ModuleDict(parts | {"readout": torch.nn.Linear(2 * H, SYMBOLS)})
    model.load_state_dict({name: torch.as_tensor(array) for name, array in rj.to_torch(ours).items()})
    ids_TB = RNG.integers(SYMBOLS, size=(T, B))
    logits = model["readout"](model["rnn"](model["embedding"](torch.as_tensor(ids_TB)))[0])
    np.testing.assert_allclose(ours(ids_TB), logits.detach().numpy(), atol=2e-6)
    again = rj.from_torch(model)
    assert again.spec == ours.spec and jax.tree.all(jax.tree.map(np.array_equal, again.params, ours.params))
    torch.save(model.state_dict(), tmp_path / "a.pt")
    if activation == "tanh":
        assert rj.from_torch(tmp_path / "a.pt").spec == ours.spec
    for content, name in ((model, "b.pt"), ([1], "c.pt")):
        torch.save(content, tmp_path / name)
        with pytest.raises(BadInput, match="holds "):
            rj.from_torch(tmp_path / name)


def test_torch_modules_that_do_not_fit_are_refused() -> None:
    nn = pytest.importorskip("torch").nn
    with pytest.raises(BadInput, match=r"^state dict: 'weight_hr_l0' has a projection \(proj_size\)"):
        rj.from_torch(nn.LSTM(D, H, proj_size=2))
    with pytest.raises(BadInput, match=r"^module: got a ReLU '1', which a network here does not have"):
        rj.from_torch(nn.Sequential(nn.LSTM(D, H), nn.ReLU()))


@pytest.mark.parametrize(("cell", "activation"), [("elman", "relu"), ("gru_before", "tanh"), ("lstm", "tanh")])
def test_haiku(cell: str, activation: str) -> None:
    hk = pytest.importorskip("haiku")
    kinds = {"elman": hk.VanillaRNN, "gru_before": hk.GRU, "lstm": hk.LSTM}
    ours = network(cell, activation, layers=2, ends=True)

    def run(ids_TB: Any) -> Any:
        core = hk.DeepRNN([kinds[cell](H), kinds[cell](H), hk.Linear(SYMBOLS)])
        return hk.dynamic_unroll(core, hk.Embed(SYMBOLS, D)(ids_TB), core.initial_state(B))[0]

    ids_TB = RNG.integers(SYMBOLS, size=(T, B))
    theirs = jax.jit(hk.without_apply_rng(hk.transform(run)).apply)(rj.to_haiku(ours), ids_TB)
    np.testing.assert_allclose(ours(ids_TB), theirs, atol=2e-6)
    again = rj.from_haiku(rj.to_haiku(ours))
    assert again.spec == ours.spec and jax.tree.all(jax.tree.map(np.allclose, again.params, ours.params))


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_equinox(cell: str) -> None:
    pytest.importorskip("equinox")
    ours = network(cell, ends=True)
    made = rj.to_equinox(ours)
    [[module]] = made["layers"]

    def step(state: Any, ids_B: Any) -> Any:
        after = jax.vmap(module)(jax.vmap(made["embedding"])(ids_B), state)
        return after, jax.vmap(made["readout"])(after[0] if cell == "lstm" else after)

    zero = jax.numpy.zeros((B, H))
    ids_TB = RNG.integers(SYMBOLS, size=(T, B))
    theirs = jax.lax.scan(step, (zero, zero) if cell == "lstm" else zero, jax.numpy.asarray(ids_TB))[1]
    np.testing.assert_allclose(ours(ids_TB), theirs, atol=2e-6)
    again = rj.from_equinox(made)
    assert again.spec == ours.spec and jax.tree.all(jax.tree.map(np.array_equal, again.params, ours.params))


def torch_forecaster(torch: Any, batch_first: bool = True) -> Any:
    class Forecaster(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.rnn = torch.nn.GRU(D, H, batch_first=batch_first)
            self.head = torch.nn.Linear(H, D)

        def forward(self, x: Any) -> Any:
            return self.head(self.rnn(x)[0])

    torch.manual_seed(0)
    return Forecaster()


@pytest.mark.parametrize("last_only", [True, False])
def test_the_doctor_finds_a_loss_on_the_last_step_in_a_program_of_torch(last_only: bool) -> None:
    torch = pytest.importorskip("torch")
    model = torch_forecaster(torch)
    wave = np.sin(np.arange(42.0)[:, None, None] * np.array([0.5, 0.9])[:, None] + np.arange(D)).astype(np.float32)

    def loss(module: Any, x_BTD: Any, y_BTD: Any) -> Any:
        errors = (module(x_BTD) - y_BTD) ** 2
        return errors[:, -1].mean() if last_only else errors.mean()

    found = rj.examine(model, (wave[:-1], wave[1:]), loss=loss)
    faults = {finding.name for finding in found.faults}
    assert ("last_step" in faults) == last_only
    assert not faults & {"other_outputs", "permuted_blocks", "summed_biases", "detached_state"}
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("detach", [True, False])
def test_a_state_that_is_detached_at_every_step_is_found(detach: bool) -> None:
    torch = pytest.importorskip("torch")
    cell = torch.nn.GRUCell(D, H)
    wave = np.sin(np.arange(22.0)[:, None, None] * np.array([0.5, 0.9])[:, None] + np.arange(D)).astype(np.float32)

    def loss(module: Any, x_TBD: Any, y_TBH: Any) -> Any:
        h, total = torch.zeros(B, H), 0.0
        for x, y in zip(x_TBD, y_TBH, strict=True):
            h = module(x, h.detach() if detach else h)
            total = total + ((h - y) ** 2).mean()
        return total

    targets = np.concatenate([wave[1:], wave[1:, :, :1]], axis=2)
    found = rj.examine(cell, (wave[:-1], targets), loss=loss)
    assert ("detached_state" in {finding.name for finding in found.faults}) == detach
