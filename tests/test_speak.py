"""A trained network out of a run folder."""

from pathlib import Path

import numpy as np
import pytest

from rnnjax import config, lab
from rnnjax.errors import BadInput
from rnnjax.speak import write
from rnnjax.trained import Network, load_network

STUDY = """
question = "Does it speak?"
seeds = 2
[base]
hidden = 8
window = 5
steps = 40
record_every = 20
block = 2
clip_norm = inf
task.characters = 400
[[axes]]
recurrent_gain = [0.5, 1.0]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of two arms with seeds 42 and 43."""
    place = tmp_path_factory.mktemp("speak")
    (place / "tiny.toml").write_text(STUDY)
    lab.run_study(config.load(place / "tiny.toml"), place / "out")
    return place / "out"


def kernel(network: Network) -> np.ndarray:
    return np.asarray(network.params["cell"]["recurrent_kernel"])


def test_a_network_is_its_arm_and_seed(folder: Path) -> None:
    first = load_network(folder, None, None)
    assert (first.arm, first.hp.seed, first.hp.recurrent_gain, first.step) == ("gain=0.5", 42, 0.5, 40)
    assert first.hp.clip_norm == float("inf")
    assert first.spec.outputs == len(first.vocabulary) == kernel(first).shape[0] * 3
    others = [load_network(folder, arm, seed) for arm in ("gain=0.5", "gain=1") for seed in (42, 43)]
    assert len({kernel(network).tobytes() for network in others}) == 4
    np.testing.assert_array_equal(kernel(first), kernel(others[0]))
    # gain 1 starts twice as large and 40 small steps do not change that
    assert np.linalg.norm(kernel(others[2])) > 1.5 * np.linalg.norm(kernel(others[0]))


def test_it_writes_what_was_asked_for(folder: Path) -> None:
    text = write(folder, "gain=1", 43, "the ", 0.0, 30, random=0)
    assert text.startswith("the ")
    assert len(text) == 34
    assert text == write(folder, "gain=1", 43, "the ", 0.0, 30, random=1), "greedy knows no chance"
    drawn = [write(folder, "gain=1", 43, "the ", 1.0, 30, random=seed) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("arm", "seed", "prompt", "message"),
    [
        ("gain=2", None, "", "--arm: got 'gain=2'; expected one of 2, nearest: gain=1, gain=0.5"),
        (None, 7, "", "--seed: got 7; expected one of 2, nearest: 42, 43"),
        (None, None, "Ω", r"--prompt: .*'Ω' \(U\+03A9\).*not in the vocabulary"),
    ],
)
def test_what_is_not_there_is_refused(
    folder: Path, arm: str | None, seed: int | None, prompt: str, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        write(folder, arm, seed, prompt, 1.0, 5, random=0)


def test_a_folder_without_a_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no trained network here"):
        load_network(tmp_path, None, None)
