"""docs/examples/one_file.py and rnnjax train the same networks: an independent oracle for a whole training."""

import importlib.util
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from rnnjax.networks.keys import key_for
from rnnjax.settings import HParams, Spec
from rnnjax.tasks.windows import cut_windows, next_step
from rnnjax.training.parallel import Run, compile_program, init_states

ROOT = Path(__file__).parents[1]
V, STEPS, SEEDS = 7, 40, (3, 4)
IDS = np.random.default_rng(0).integers(V, size=200, dtype=np.int32)
CLIP_NORM = 3.3  # so that the clip is at work on some steps
SPEC = Spec(hidden=6, window=5, batch=2, inputs=V, outputs=V, log_every=1)


def one_file() -> Any:
    spec = importlib.util.spec_from_file_location("one_file", ROOT / "docs" / "examples" / "one_file.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_losses_of_all_steps_are_those_of_rnnjax() -> None:
    """The same initial parameters and first windows; 40 steps read the text of 19 windows more than twice."""
    example, defaults = one_file(), Spec()
    assert (defaults.hidden, defaults.window, defaults.batch) == (example.HIDDEN, example.WINDOW, example.BATCH)
    assert (HParams().learning_rate, HParams().clip_norm) == (example.LEARNING_RATE, example.CLIP_NORM)

    example.CLIP_NORM = CLIP_NORM
    runs = [Run(0, SPEC, HParams(seed=seed, clip_norm=CLIP_NORM)) for seed in SEEDS]
    states, data = init_states(runs), cut_windows(next_step(IDS), SPEC.batch, SPEC.window)
    layer, readout = states.params["layer_0"], states.params["readout"]
    params_S = {
        "kernel": layer["kernel"],
        "recurrent": layer["recurrent_kernel"],
        "bias": layer["bias"],
        "readout": readout["kernel"],
        "readout_bias": readout["bias"],
    }
    windows = example.cut_windows(IDS, SPEC.batch, SPEC.window)
    np.testing.assert_array_equal(windows, data[:2])
    first = [jax.random.randint(key_for(run.hp, "data"), (), 0, len(windows[0])) for run in runs]
    with jax.numpy_rank_promotion("allow"):  # a bias [H] is added to [B, H] without a word
        _, losses_S = example.train(windows, params_S, np.array(first), STEPS)

    program = compile_program(runs, data, rows=STEPS)
    _, record = program.advance(program.blocks.scatter(states), STEPS)
    assert 0 < np.mean(record.clip_share) < 1
    np.testing.assert_allclose(losses_S, record.loss, rtol=2e-5)


@pytest.mark.parametrize("kernel", ["kernel", "recurrent", "readout"])
def test_its_initial_kernels_have_the_scale_of_the_defaults(kernel: str) -> None:
    params = one_file().init(40, 64, jax.random.key(0))
    rows, columns = params[kernel].shape
    expected = rows**-0.5 if kernel == "recurrent" else (2 / (rows + columns)) ** 0.5
    assert np.asarray(params[kernel]).std() == pytest.approx(expected, rel=0.1)


@pytest.mark.slow
def test_it_trains_on_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.md").write_text("abcabcabd " * 40)
    with jax.numpy_rank_promotion("allow"):
        one_file().main(str(tmp_path / "text.md"), seeds=2, steps=200)
    losses = [float(line.split()[2]) for line in capsys.readouterr().out.splitlines()]
    assert len(losses) == 2 and max(losses) < np.log(5) / 2
