"""A study of sequences from a file to its report; its predictions against loops over the held-out sequences."""

import json
from pathlib import Path

import numpy as np
import pytest

from rnnjax.analysis.results import Results
from rnnjax.config.load import load_study
from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.settings.later_fields import SEQUENCE_FIELDS
from rnnjax.studies.load_networks import load_network
from rnnjax.studies.load_results import load_results
from rnnjax.studies.prepare import prepare_study
from rnnjax.studies.run import run_study
from rnnjax.studies.sampling import SamplingOptions, sample_from_folder
from rnnjax.studies.sequence_files import write_sequences

pytestmark = pytest.mark.slow  # much training or compiling for all of this module

RNG = np.random.default_rng(4)
X = [RNG.normal(size=(length, 2)).round(3) for length in RNG.integers(2, 8, size=40)]
Y = ["up" if one[0, 0] > 0 else "down" for one in X]
STUDY = """\
question = "Which batches?"
seeds = 2

[base]
task.name = "sequences"
task.path = "{path}"
task.validation = 0.25
task.buckets = 2
hidden = 4
batch = 4
carry = "reset"
reduction = "mean"
steps = 12
log_every = 4

[probes]
validation = [12]

[[axes]]
task.batches = ["padded", "bucketed", "packed"]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sequences")
    write_sequences(path / "toy.jsonl", X, Y)
    (path / "toy.toml").write_text(STUDY.format(path=path / "toy.jsonl"))
    run_study(load_study(path / "toy.toml"), path / "run")
    return path


@pytest.fixture(scope="module")
def results(folder: Path) -> Results:
    return load_results(folder / "run")


def logits_by_hand(
    folder: Path, arm: str, seed: int, task_mean: np.ndarray, task_scale: np.ndarray
) -> dict[str, np.ndarray]:
    """The outputs of an Elman network after the last step of each sequence."""
    network = load_network(folder / "run", arm, seed)
    layer, readout = (
        {name: np.asarray(value) for name, value in network.params[part].items() if name != "gate"}
        for part in ("layer_0", "readout")
    )
    found = {}
    for n, one in enumerate(X):
        h = np.zeros(4)
        for x in (one - task_mean) / task_scale:
            h = np.tanh(x @ layer["kernel"] + h @ layer["recurrent_kernel"] + layer["bias"])
        found[f"line {n + 1}"] = h @ readout["kernel"] + readout["bias"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("arm", ["padded", "bucketed", "packed"])
def test_predictions_are_those_of_a_loop(folder: Path, results: Results, arm: str) -> None:
    predictions = results.predictions[arm]
    train = np.concatenate([one for n, one in enumerate(X) if f"line {n + 1}" not in predictions.names])
    for i, seed in enumerate(results.arms[0].seeds.tolist()):
        logits = logits_by_hand(folder, arm, seed, train.mean(axis=0), train.std(axis=0))
        expected = np.stack([logits[name] for name in predictions.names])
        np.testing.assert_allclose(predictions.outputs_nRO[i], expected, atol=1e-4)
        labels = np.array([Y[int(name.removeprefix("line ")) - 1] == "up" for name in predictions.names])
        np.testing.assert_array_equal(predictions.truth_R, labels)
        said = expected.argmax(axis=1) == 1
        found = results.select([arm])[0].metrics
        assert found["accuracy"][i] == pytest.approx(np.mean(said == labels))
        each = [np.mean(said[labels] == 1), np.mean(said[~labels] == 0)]
        assert found["balanced_accuracy"][i] == pytest.approx(np.mean(each)) and found["recall[up]"][i] == each[0]
        loss = np.mean(np.log(np.exp(expected).sum(axis=1)) - expected[np.arange(len(labels)), labels.astype(int)])
        assert found["log_loss"][i] == pytest.approx(loss, abs=1e-5)
        assert found["validation_loss"][i] == pytest.approx(loss, abs=1e-5)


def test_the_report_has_the_predictions(folder: Path) -> None:
    text = (folder / "run" / "report.md").read_text()
    assert "held-out sequences the share of right labels is" in text and "the most frequent one" in text
    tables = folder / "run" / "tables"
    assert {"classes.csv", "recall.csv", "confusion.csv", "lengths.csv", "wrong.csv"} <= {
        one.name for one in tables.iterdir()
    }
    summary = json.loads((folder / "run" / "summary.json").read_text())
    assert len(summary["arms"][0]["metrics"]["accuracy"]["values"]) == 2


@pytest.mark.slow
def test_runs_do_not_depend_on_their_company(folder: Path, tmp_path: Path) -> None:
    """One arm, alone, has the bits that it has in the study; a study stopped and resumed has them too."""
    study = load_study(folder / "toy.toml", patterns=["bucketed"])
    run_study(study, tmp_path / "alone")
    both = (load_results(one).predictions["bucketed"].outputs_nRO for one in (folder / "run", tmp_path / "alone"))
    np.testing.assert_array_equal(*both)


def test_studies_of_other_tasks_do_not_know_the_settings_of_sequences(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text('question = "q"\nseeds = 1\n[base]\nsteps = 10\n')
    arm = load_study(tmp_path / "other.toml").config["arms"]["base"]
    assert not {*SEQUENCE_FIELDS, "embedding", "tied", "remat"} & {*arm, *arm["task"]}
    assert set(SEQUENCE_FIELDS) <= set(vars(TaskSpec()))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["carry=carried"], "carry: got 'carried'; expected 'reset'"),
        (["reduction=last"], "reduction: got 'last'"),
        (["task.predict=next", "bidirectional=true"], "bidirectional"),
        (["embedding=4"], "embedding"),
        (["task.path=none.jsonl"], "no such file"),
    ],
)
def test_contradictions_are_refused(folder: Path, changes: list[str], words: str) -> None:
    with pytest.raises(BadInput) as error:
        prepare_study(load_study(folder / "toy.toml", changes))
    assert words in str(error.value) and "\n" not in str(error.value)


def test_pickled_arrays_are_refused(folder: Path) -> None:
    np.savez(folder / "bad.npz", x=np.array([None, 1], object))
    with pytest.raises(BadInput, match="got pickled objects, which are not loaded; expected arrays of numbers"):
        prepare_study(load_study(folder / "toy.toml", [f"task.path={folder / 'bad.npz'}"]))
    (folder / "none.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(BadInput, match="got no .npz file"):
        prepare_study(load_study(folder / "toy.toml", [f"task.path={folder / 'none.npz'}"]))


def test_nothing_is_sampled_from_a_network_of_sequences(folder: Path) -> None:
    with pytest.raises(BadInput, match="got a network of sequences"):
        sample_from_folder(folder / "run", None, None, 10, SamplingOptions())


def test_written_sequences_are_read_again(tmp_path: Path) -> None:
    """Ragged arrays, texts, and further words of each sequence."""
    write_sequences(tmp_path / "a.npz", X, Y, group=[str(n % 4) for n in range(40)])
    write_sequences(tmp_path / "b.jsonl", ["ab", "ba"] * 5, [0, 1] * 5)
    (tmp_path / "s.toml").write_text(STUDY.format(path=tmp_path / "a.npz"))
    [task, *_] = prepare_study(load_study(tmp_path / "s.toml", ["task.split=group"])).tasks.values()
    assert task.sequences.validation.size == 10 and task.inputs == 2
    [text, *_] = prepare_study(load_study(tmp_path / "s.toml", [f"task.path={tmp_path / 'b.jsonl'}"])).tasks.values()
    assert text.inputs == 2 and text.sequences.classes == ("0", "1")
    with pytest.raises(BadInput, match=r"b.txt: got the ending '.txt'; expected .npz or .jsonl"):
        write_sequences(tmp_path / "b.txt", X, Y)
