"""The contenders of the benchmark do the same work: from the same parameters, the same loss, gradient and step.

The reference is `plain_loss` under `jax.grad`; parameters are mapped to each library's own names and back.
"""

from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.cli import bench
from rnnjax.cli.speed import builds, tables
from rnnjax.cli.speed import contenders as peers
from rnnjax.cli.speed import contenders_numpy as peers_numpy
from rnnjax.cli.speed import timing as racing
from rnnjax.cli.speed.contenders import Params, Size
from rnnjax.errors import BadInput

SIZE = Size(hidden=6, window=7, batch=3, runs=2)


@pytest.fixture(autouse=True)
def as_users_write() -> Iterator[None]:
    """A bias [G] is added to [B, G] without a word."""
    with jax.numpy_rank_promotion("allow"):
        yield


Result = tuple[float, Params, np.ndarray]  # loss, gradient by our names, h after the window


class Case:
    """A window, random parameters with every bias away from zero, and a random carry."""

    def __init__(self, cell: str) -> None:
        rng, self.cell, self.size = np.random.default_rng(3), cell, SIZE._replace(cell=cell)
        self.params = {
            name: leaf + 0.3 * rng.normal(size=leaf.shape).astype(np.float32)
            for name, leaf in peers.start(self.size).items()
        }
        shape = (SIZE.batch, SIZE.hidden)
        self.carry = tuple(rng.normal(size=shape).astype(np.float32) for _ in range(peers.LEAVES[cell]))
        data = peers.windows(self.size)
        self.x_TB, self.y_TB = data.inputs_WTB[4], data.targets_WTB[4]


@cache
def of_plain(cell: str) -> Result:
    case = Case(cell)
    loss = partial(peers.plain_loss, case.cell)
    (value, carry), gradient = jax.value_and_grad(loss, has_aux=True)(case.params, case.carry, case.x_TB, case.y_TB)
    return float(value), gradient, carry[0]


def of_numpy(case: Case) -> Result:
    loss, gradient, carry = peers_numpy.numpy_gradient(case.cell, case.params, case.carry, case.x_TB, case.y_TB)
    return loss, gradient, carry[0]


GATE_NAMES = {"lstm": "ifgo", "gru": "rzn"}


def as_flax(params: Params, cell: str) -> Params:
    """Our tree under Flax's names; where Flax has one bias, ours stands there."""
    if cell == "elman":
        inner = {"i": {"kernel": params["kernel"], "bias": params["bias"]}, "h": {"kernel": params["recurrent"]}}
    else:
        inner, names = {}, GATE_NAMES[cell]
        split = {name: jnp.split(params[name], len(names), axis=-1) for name in ("kernel", "recurrent", "bias")}
        for index, gate in enumerate(names):
            of_input, of_state = {"kernel": split["kernel"][index]}, {"kernel": split["recurrent"][index]}
            (of_state if cell == "lstm" else of_input)["bias"] = split["bias"][index]
            inner |= {f"i{gate}": of_input, f"h{gate}": of_state}
        if cell == "gru":
            inner["hn"]["bias"] = params["inner_bias"]
    readout = {"kernel": params["readout"], "bias": params["readout_bias"]}
    return {"params": {"cell": inner, "readout": readout}}


def of_flax(case: Case) -> Result:
    """The mapping is differentiated too, which brings the gradient back to our names."""
    network, _ = peers.flax_network(case.cell, SIZE.hidden)
    carry = case.carry[::-1] if case.cell == "lstm" else case.carry[0]

    def loss(params: Params) -> Any:
        return peers.flax_loss(network, as_flax(params, case.cell), carry, case.x_TB, case.y_TB)

    (value, carry), gradient = jax.value_and_grad(loss, has_aux=True)(jax.tree.map(jnp.asarray, case.params))
    return float(value), gradient, carry[1] if case.cell == "lstm" else carry


def of_torch(case: Case) -> Result:
    """torch has a second bias; it is zero but for the GRU's inner bias, and its gradient is that of the first."""
    torch = pytest.importorskip("torch")
    from rnnjax.cli.speed import contenders_torch as peers_torch

    rnn, readout = peers_torch.torch_network(case.cell, SIZE.hidden)
    second = np.zeros_like(case.params["bias"])
    if case.cell == "gru":
        second[-SIZE.hidden :] = case.params["inner_bias"]
    pairs = [
        (rnn.weight_ih_l0, case.params["kernel"].T),
        (rnn.weight_hh_l0, case.params["recurrent"].T),
        (rnn.bias_ih_l0, case.params["bias"]),
        (rnn.bias_hh_l0, second),
        (readout.weight, case.params["readout"].T),
        (readout.bias, case.params["readout_bias"]),
    ]
    with torch.no_grad():
        for leaf, value in pairs:
            leaf.copy_(torch.as_tensor(np.ascontiguousarray(value)))
    carry = tuple(torch.as_tensor(leaf)[None] for leaf in case.carry)
    x_TB, y_TB = (torch.as_tensor(ids, dtype=torch.int64) for ids in (case.x_TB, case.y_TB))
    loss, end = peers_torch.torch_loss(rnn, readout, carry if case.cell == "lstm" else carry[0], x_TB, y_TB)
    loss.backward()
    kernel, recurrent, bias, second_bias, out, out_bias = (leaf.grad.numpy() for leaf, _ in pairs)
    gradient = {"kernel": kernel.T, "recurrent": recurrent.T, "bias": bias, "readout": out.T, "readout_bias": out_bias}
    if case.cell == "gru":
        gradient["inner_bias"] = second_bias[-SIZE.hidden :]
    return loss.item(), gradient, (end[0] if case.cell == "lstm" else end)[0].detach().numpy()


def of_torch_bmm(case: Case) -> Result:
    """The case stands beside another run, which must change nothing."""
    torch = pytest.importorskip("torch")
    from rnnjax.cli.speed import contenders_torch as peers_torch

    params = peers_torch.batched_start(case.size)
    with torch.no_grad():
        for name, leaf in params.items():
            leaf[1].copy_(torch.as_tensor(case.params[name]))
    carry = tuple(torch.as_tensor(np.stack([0 * leaf, leaf])) for leaf in case.carry)
    x_TB, y_TB = (torch.as_tensor(ids, dtype=torch.int64) for ids in (case.x_TB, case.y_TB))
    losses, end = peers_torch.batched_loss(case.cell, params, carry, x_TB, y_TB)
    losses.sum().backward()
    gradient = {name: leaf.grad[1].numpy().reshape(case.params[name].shape) for name, leaf in params.items()}
    return losses[1].item(), gradient, end[0][1].detach().numpy()


def as_equinox(params: Params, cell: str) -> Any:
    """Our tree as modules of Equinox."""
    eqx = pytest.importorskip("equinox")
    from rnnjax.cli.speed import contenders_libraries

    recurrent, readout = contenders_libraries.equinox_network(cell, SIZE.hidden, jax.random.key(0))

    def places(one: Any) -> Any:
        if cell == "elman":
            return one.inner.weight, one.outer.weight, one.inner.bias
        return one.weight_ih, one.weight_hh, one.bias, *([one.bias_n] if cell == "gru" else [])

    leaves = [params["kernel"].T, params["recurrent"].T, params["bias"]]
    leaves += [params["inner_bias"]] if cell == "gru" else []
    outer = eqx.tree_at(lambda one: (one.weight, one.bias), readout, (params["readout"].T, params["readout_bias"]))
    return eqx.tree_at(places, recurrent, tuple(leaves)), outer


def of_equinox(case: Case) -> Result:
    eqx = pytest.importorskip("equinox")
    from rnnjax.cli.speed import contenders_libraries

    carry = case.carry if case.cell == "lstm" else case.carry[0]

    def loss(params: Params) -> Any:
        arrays, static = eqx.partition(as_equinox(params, case.cell), eqx.is_inexact_array)
        return contenders_libraries.equinox_loss(static, arrays, carry, case.x_TB, case.y_TB)

    (value, carry), gradient = jax.value_and_grad(loss, has_aux=True)(jax.tree.map(jnp.asarray, case.params))
    return float(value), gradient, carry[0] if case.cell == "lstm" else carry


def of_keras(case: Case) -> Result:
    """A GRU of Keras has the gates z, r, n and two rows of biases."""
    if bench.missing_packages("keras"):
        pytest.skip("keras is not installed")
    from rnnjax.cli.speed import contenders_libraries

    model = contenders_libraries.keras_network(case.cell, SIZE.hidden)
    fixed = [variable.value for variable in model.non_trainable_variables]  # a seed, of dropout

    def swap(leaf: Any) -> Any:
        return jnp.concatenate([jnp.split(leaf, 3, axis=-1)[i] for i in (1, 0, 2)], axis=-1)

    def loss(params: Params) -> Any:
        leaves = [params["kernel"], params["recurrent"], params["bias"]]
        if case.cell == "gru":
            zero = jnp.zeros(2 * SIZE.hidden)
            leaves[2] = jnp.stack([params["bias"], jnp.concatenate([zero, params["inner_bias"]])])
            leaves = [swap(leaf) for leaf in leaves]
        leaves += [params["readout"], params["readout_bias"]]
        return contenders_libraries.keras_loss(model, leaves, fixed, case.carry, case.x_TB, case.y_TB)

    (value, (_, carry)), gradient = jax.value_and_grad(loss, has_aux=True)(jax.tree.map(jnp.asarray, case.params))
    return float(value), gradient, carry[0]


@pytest.mark.slow
@pytest.mark.parametrize("result", [of_numpy, of_flax, of_torch, of_torch_bmm, of_equinox, of_keras])
@pytest.mark.parametrize("cell", peers.GATES)
def test_loss_gradient_and_carry_are_those_of_plain_jax(cell: str, result: Callable[[Case], Result]) -> None:
    case = Case(cell)
    loss, gradient, h_BH = result(case)
    expected_loss, expected_gradient, expected_h_BH = of_plain(case.cell)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    np.testing.assert_allclose(h_BH, expected_h_BH, rtol=1e-4, atol=1e-5)
    assert gradient.keys() == expected_gradient.keys()
    for name, leaf in expected_gradient.items():
        np.testing.assert_allclose(gradient[name], leaf, rtol=1e-4, atol=1e-4 * np.abs(leaf).max(), err_msg=name)


def after_steps(case: Case, steps: int) -> Params:
    """plain_vmap's own train step, from the start of one run with a carry of zeros."""
    optimizer, train_step = peers.descent(case.size, partial(peers.plain_loss, case.cell))
    state = (case.params, optimizer.init(case.params), jax.tree.map(np.zeros_like, case.carry))
    return jax.lax.fori_loop(0, steps, train_step, jax.tree.map(jnp.asarray, state))[0]


@pytest.mark.parametrize("scale", [1, 0.1], ids=["clipped", "not clipped"])
def test_numpy_and_bmm_update_as_optax_does(scale: float) -> None:
    torch = pytest.importorskip("torch")
    from rnnjax.cli.speed import contenders_torch as peers_torch

    case = Case("elman")
    _, gradient, _ = of_plain(case.cell)
    norm = sum(float((leaf**2).sum()) for leaf in gradient.values()) ** 0.5
    gradient = {name: np.asarray(leaf) * scale * 10 / norm for name, leaf in gradient.items()}  # of norm 10 or 1
    optimizer, _ = peers.descent(case.size, partial(peers.plain_loss, "elman"))
    update, _ = optimizer.update(gradient, optimizer.init(case.params))
    batched = peers_torch.batched_start(case.size)
    for name, leaf in batched.items():
        with torch.no_grad():
            leaf[1].copy_(torch.as_tensor(case.params[name]))
        leaf.grad = torch.stack([torch.ones(leaf.shape[1:]), torch.as_tensor(gradient[name]).view(leaf.shape[1:])])
    expected = {name: case.params[name] + np.asarray(update[name]) for name in update}
    peers_torch.batched_update(batched)
    peers_numpy.numpy_update(case.params, gradient)
    for name, leaf in expected.items():
        np.testing.assert_allclose(case.params[name], leaf, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(batched[name][1].detach().numpy().reshape(leaf.shape), leaf, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "cell", [cell if cell == "elman" else pytest.param(cell, marks=pytest.mark.slow) for cell in peers.GATES]
)
def test_numpy_trains_as_plain_jax_does(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three whole steps, so that order of windows, carry, clip and rate are one."""
    case = Case(cell)
    expected = after_steps(case, 3)
    monkeypatch.setattr(peers_numpy, "start", lambda size: case.params)  # which numpy_one then updates in place
    step, runs = peers_numpy.numpy_one(case.size)
    step(3)
    assert runs == 1
    for name, leaf in expected.items():
        np.testing.assert_allclose(case.params[name], leaf, rtol=1e-4, atol=1e-5, err_msg=name)


def test_flops_count_the_matrix_products() -> None:
    """By hand for H = 64, T = 25, B = 1: recurrent and readout products, forward and twice that backward."""
    assert Size().flops == 3 * 2 * 25 * (64 * 64 + 64 * 24)
    assert Size("lstm").flops == 3 * 2 * 25 * (64 * 256 + 64 * 24)


def test_the_exponent_of_a_power_is_its_own() -> None:
    assert racing.exponent([1, 2, 4, 8], [3 * x**1.5 for x in (1, 2, 4, 8)]) == pytest.approx(1.5)


def entered(*options: str) -> list[tuple[str, Size]]:
    asked = bench.arguments(["--suite", "full", *options])
    entries = [racing.Entry(name, contender, size) for size in bench.sizes(asked) for name, contender in NAMED]
    return [(entry.name, entry.size) for entry in entries if not bench.left_out(asked, entry)]


NAMED = bench.CONTENDERS.items()


def timing(name: str, micro: float, cores: tuple[float, ...]) -> racing.Timing:
    return racing.Timing(name, SIZE, micro, micro, len(cores), 0.0, float(np.median(cores)), cores)


def test_evaluation_is_compared_with_evaluation() -> None:
    """Core ratios of the rounds 2/1, 6/2 and 8/8: their median is 2. A forward pass is a third of the products."""
    timings = [timing("rnnjax", 10, (1, 2, 8)), timing("torch", 30, (2, 6, 8)), timing("rnnjax_evaluation", 4, (1.0,))]
    timings.append(timing("onnxruntime", 8, (3.0,)))
    found = [tables.slower(one, timings) for one in timings]
    assert [one["times_rnnjax"] for one in found] == [1, 3, 1, 2]
    assert [one["core_times_rnnjax"] for one in found] == [1, 2, 1, 3]
    assert timings[0].gflops == pytest.approx(SIZE.flops / 10e3)
    assert timings[2].gflops == pytest.approx(SIZE.flops / 3 / 4e3)


def test_time_in_other_processes_is_counted() -> None:
    found = racing.clock(lambda steps: 6.0 * steps, 4)
    assert 6 <= found.cores < 6.1 and 0 <= found.wall < 1


def test_what_is_compared_with_is_there() -> None:
    asked = bench.arguments(["--against", "onnxruntime", "numpy"])
    assert bench.entrants(asked, ["build x"]) == ["rnnjax", "rnnjax_evaluation", "onnxruntime", "numpy", "build x"]
    assert bench.entrants(bench.arguments(["--against"]), []) == ["rnnjax"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--against-build", "no such"], "--against-build: got 'no such'; expected a commit of the repository in"),
        (
            ["--against-build", "HEAD", "--suite", "tuning"],
            "--against-build: got --suite tuning; expected quick or full",
        ),
    ],
)
def test_a_build_that_cannot_be_timed_is_refused(given: list[str], message: str) -> None:
    with pytest.raises(BadInput, match=f"^{message}"):
        bench.check(bench.arguments(given))


@pytest.mark.slow
def test_a_commit_is_timed_in_its_own_process() -> None:
    """Its module of contenders is its own, though this rnnjax is on the path of the test; it trains and counts time."""
    if not (builds.ROOT / ".git").exists():
        pytest.skip("no repository")
    with builds.open_builds(["HEAD"]) as opened:
        step, runs = opened["build HEAD"](SIZE)
        assert runs == SIZE.runs and step(3) > 0


def test_the_full_grid_holds_what_the_notes_say() -> None:
    found = entered()
    assert {size.runs for _, size in found if size.cell != "elman"} == {64}
    assert {size.runs for name, size in found if name in bench.ONE_RUN} == {1, 64}
    assert {(size.hidden, size.batch, size.runs) for name, size in found if name == "rnnjax"} == set(
        product((64, 128, 256), (1, 8, 32), (1, 8, 64, 256))
    )


def test_what_is_asked_for_is_not_left_out() -> None:
    assert len(entered("--runs", "8", "--cell", "lstm", "--hidden", "64", "--batch", "1")) == len(NAMED)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnxruntime", "rnnjax_evaluation"])
def test_evaluation_runs(name: str) -> None:
    for package in bench.NEEDS.get(name, ()):
        pytest.importorskip(package)
    step, runs = bench.CONTENDERS[name](SIZE._replace(cell="lstm"))
    step(3)
    assert runs == (1 if name == "onnxruntime" else SIZE.runs)
