"""decay_steps = 0: a decay of the learning rate over the whole training after the warm-up."""

from pathlib import Path

import jax.numpy as jnp
import pytest

from rnnjax.config.load import load_study
from rnnjax.config.schema import Study
from rnnjax.errors import BadInput
from rnnjax.settings import HParams, Spec, resolve_decay
from rnnjax.storage.config_changes import Changes, compare_configs
from rnnjax.storage.manifest import to_config_json
from rnnjax.training.parallel import Run, stack_hparams
from rnnjax.training.schedules import learning_rate_at

STUDY = """
question = "Does it decay?"
seeds = 1
[base]
schedule = "{schedule}"
decay_steps = {decay}
decay_factor = 0.1
warmup_steps = {warmup}
steps = {steps}
"""


def study(folder: Path, axes: str = "", overrides: tuple[str, ...] = (), **changes: object) -> Study:
    path = folder / "decay.toml"
    settings = {"schedule": "cosine", "decay": 0, "warmup": 20, "steps": 300} | changes
    path.write_text(STUDY.format(**settings) + axes)
    return load_study(path, overrides)


def test_a_decay_without_a_length_is_that_of_the_training(tmp_path: Path) -> None:
    tied = study(tmp_path)
    assert tied.arms[0].hp.decay_steps == 280
    assert tied.config == study(tmp_path, decay=280.0).config
    assert study(tmp_path, overrides=("steps=50",)).arms[0].hp.decay_steps == 30
    assert study(tmp_path, warmup=500).arms[0].hp.decay_steps == 1, "the warm-up takes all of the training"
    assert study(tmp_path, decay=7.5).arms[0].hp.decay_steps == 7.5


def test_arms_of_different_lengths_decay_each_over_its_own(tmp_path: Path) -> None:
    axes = "[[axes]]\nsteps = [200, 400]\ndecay_steps = [0, 90]\n"
    arms = study(tmp_path, axes, warmup=0).arms
    assert [arm.hp.decay_steps for arm in arms] == [200, 90, 400, 90]
    assert [arm.axes["decay_steps"] for arm in arms] == [200, 90, 400, 90]
    assert arms[0].name == "steps=200,decay_steps=0", "the name is that of the file"
    shorter = study(tmp_path, axes, ("steps=150",), warmup=0).arms  # half of the base's 300
    assert [arm.hp.decay_steps for arm in shorter] == [100, 90, 200, 90]


def test_arms_that_a_length_makes_equal_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="arms 1 and 2 are identical"):
        study(tmp_path, "[[axes]]\ndecay_steps = [0, 280]\n")


@pytest.mark.parametrize("name", ["step", "exponential", "cosine"])
def test_the_last_rate_is_the_smallest(name: str) -> None:
    """A run that is trained from Python, where no file was read."""
    spec, hp = Spec(schedule=name, steps=50), HParams(learning_rate=0.2, decay_factor=0.1, decay_steps=0)
    hp_R = stack_hparams([Run(0, spec, hp)])
    assert float(hp_R.decay_steps[0]) == 50  # type: ignore[index]
    rate = learning_rate_at(name, resolve_decay(spec, hp), jnp.int32(50))
    assert float(rate) == pytest.approx(0.02)
    with pytest.raises(BadInput, match="HParams:decay_steps: got 0; expected number > 0 here"):
        learning_rate_at(name, hp, jnp.int32(3))
    assert float(learning_rate_at("constant", hp, jnp.int32(3))) == pytest.approx(0.2), "which no decay concerns"


def changes(old: Study, new: Study) -> Changes:
    return compare_configs(to_config_json(old.config), to_config_json(new.config))


def test_more_steps_keep_the_decay_and_say_so(tmp_path: Path) -> None:
    old = study(tmp_path)
    more = changes(old, study(tmp_path, steps=600, decay=280))
    assert more == (["steps 600 (from 300; the decay of the learning rate stays that of 300 steps)"], {})
    assert list(changes(old, study(tmp_path, steps=600)).others) == ["arms.base.decay_steps"], "600 steps at once"
    for settings in ({"schedule": "constant", "decay": 280}, {"decay": 1000}):
        longer = changes(study(tmp_path, **settings), study(tmp_path, steps=600, **settings))
        assert longer.added == ["steps 600 (from 300)"]
