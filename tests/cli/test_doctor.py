"""scripts/doctor.py on run folders, texts and what it refuses."""

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from rnnjax import devices
from rnnjax.cli import doctor
from rnnjax.config.load import load_study
from rnnjax.doctor import report
from rnnjax.doctor.examine_run import baseline_arm, examine_folder, load_curves, load_task
from rnnjax.errors import BadInput
from rnnjax.interop.safetensors import safetensors_bytes
from rnnjax.studies.load_networks import load_network, load_networks
from rnnjax.studies.run import run_study

STUDY = """
question = "Is it well?"
seeds = 2
[base]
hidden = 8
window = 8
batch = 4
steps = 100
log_every = 5
block = 2
carry = "carried"
task.characters = 600
[[axes]]
learning_rate = [0.01, 1e-7]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of two arms with seeds 42 and 43."""
    place = tmp_path_factory.mktemp("doctor")
    (place / "tiny.toml").write_text(STUDY)
    run_study(load_study(place / "tiny.toml"), place / "out")
    return place / "out"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(devices, "prepare", lambda: None)
    return doctor


def run(script: ModuleType, monkeypatch: pytest.MonkeyPatch, *options: object) -> None:
    monkeypatch.setattr(sys, "argv", ["doctor.py", *map(str, options)])
    script.main()


@pytest.mark.slow
def test_all_networks_of_an_arm_are_read_at_once(folder: Path) -> None:
    networks = load_networks(folder, None)
    assert [network.hp.seed for network in networks] == [42, 43]
    for network in networks:
        alone = load_network(folder, network.arm, network.hp.seed)
        assert np.array_equal(alone.params["readout"]["kernel"], network.params["readout"]["kernel"])
    assert not np.array_equal(networks[0].params["readout"]["kernel"], networks[1].params["readout"]["kernel"])


def test_the_record_is_that_of_the_arm(folder: Path) -> None:
    arms = list(json.loads((folder / "manifest.json").read_text())["config"]["arms"])
    records = [load_curves(folder, load_network(folder, arm, None), [42, 43]) for arm in arms]
    assert records[0] and records[1] and records[0].loss_RS.shape == (2, 20)
    assert np.all(records[0].update_norm_RS.sum() > 1e4 * records[1].update_norm_RS.sum())  # type: ignore[union-attr]
    assert (
        load_curves(folder, load_network(folder, arms[0], None), [43]).loss_RS
        == pytest.approx(  # type: ignore[union-attr]
            records[0].loss_RS[1:]
        )
    )


@pytest.mark.slow
def test_a_run_folder_is_examined_and_told(
    folder: Path, script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arm = list(json.loads((folder / "manifest.json").read_text())["config"]["arms"])[1]
    run(script, monkeypatch, folder, "--arm", arm)
    said = capsys.readouterr().out
    assert "The weights have hardly changed" in said and f"done: {folder / 'doctor.html'}" in said
    tree = json.loads((folder / "doctor.json").read_text())
    assert tree["findings"][0]["name"] == "rate_too_low"
    assert tree["findings"][0]["over"] == "runs" and tree["findings"][0]["evidence"]["n"] == 2


@pytest.mark.slow
def test_the_files_are_written_before_the_terminal_is(
    folder: Path, script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`doctor.py OUT | head -1` ends the program while it prints."""

    def closed(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(report, "print_diagnosis", closed)
    (folder / "doctor.html").unlink(missing_ok=True)
    with pytest.raises(BrokenPipeError):
        run(script, monkeypatch, folder)
    assert (folder / "doctor.html").is_file()


def test_the_baseline_is_the_arm_by_default(tmp_path: Path) -> None:
    assert baseline_arm(tmp_path) is None
    study = {"file": {"baseline": "rate=0.*"}, "arms": [{"name": "rate=1"}, {"name": "rate=0.1"}]}
    (tmp_path / "study.json").write_text(json.dumps(study))
    assert baseline_arm(tmp_path) == "rate=0.1"
    (tmp_path / "study.json").write_text(json.dumps(study | {"file": {}}))
    assert baseline_arm(tmp_path) is None


@pytest.mark.slow
def test_the_baseline_is_examined(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arms = list(json.loads((folder / "manifest.json").read_text())["config"]["arms"])
    monkeypatch.setattr("rnnjax.doctor.examine_run.baseline_arm", lambda _: arms[1])
    assert examine_folder(folder)[0] == arms[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "got nothing to examine; expected one of OUT, --text, --series, --sequences and --model"),
        (["out", "--text", "a"], "got folder and text; expected one of"),
        (["--arm", "a", "--text", "b"], "--arm requires a run folder"),
        (["--columns", "a", "--text", "b"], "--columns requires --series"),
        (["out", "--out", "b"], "--out requires --text, --series, --sequences or --model"),
        (["--text", "a", "--out", "bad name"], "run name must match"),
        (["nowhere"], "nowhere: no trained network here"),
        (["--text", "/nowhere/at.all"], "task.path: no such file"),
        (["--sequences", "/nowhere/at.all"], "task.path: no such file"),
        (["--sequences", "a", "--text", "b"], "got text and sequences; expected one of"),
    ],
)
def test_bad_arguments_are_refused(
    options: list[str], message: str, script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadInput, match=message):
        run(script, monkeypatch, *options)


def test_an_unknown_arm_is_refused(folder: Path) -> None:
    with pytest.raises(BadInput, match="--arm: got 'no'"):
        examine_folder(folder, "no")


@pytest.mark.slow
def test_a_text_that_is_another_now_is_refused(tmp_path: Path) -> None:
    """Of the same symbols, so that only its sha256 tells."""
    text = tmp_path / "notes.txt"
    text.write_text("abcd" * 200)
    study = STUDY.replace("task.characters = 600", f'task.name = "text"\ntask.path = "{text}"').replace("1e-7", "0.02")
    (tmp_path / "tiny.toml").write_text(study.replace("steps = 100", "steps = 10"))
    run_study(load_study(tmp_path / "tiny.toml"), tmp_path / "out")
    [network, _] = load_networks(tmp_path / "out", None)
    assert load_task(tmp_path / "out", network).vocabulary == "abcd"
    text.write_text("abdc" * 200)
    with pytest.raises(BadInput, match="differs from the data that the network was trained on"):
        load_task(tmp_path / "out", network)


def test_a_task_that_is_made_otherwise_now_is_refused(folder: Path) -> None:
    [network, _] = load_networks(folder, None)
    with pytest.raises(BadInput, match="^grammar: differs from the data that the network was trained on"):
        load_task(folder, network._replace(vocabulary=network.vocabulary[::-1]))


@pytest.mark.parametrize("kind", ["text", "series", "sequences"])
def test_a_users_file_reaches_the_diagnostic_run(
    kind: str, script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "my file's.csv"
    monkeypatch.setattr(sys, "argv", ["doctor.py", f"--{kind}", str(path)])
    study = script.diagnostic_study(script.arguments())
    assert study.arms[0].spec.task.path == str(path) and study.arms[0].spec.task.name == kind


def write_waves(path: Path, empty: bool = False) -> Path:
    """Forty noisy waves of two classes as JSON Lines; empty: the third one has no step."""
    rng = np.random.default_rng(0)
    x = [np.sin((0.3 + n % 2) * np.arange(3 + n % 5)) + 0.1 * rng.normal(size=3 + n % 5) for n in range(40)]
    x[2] = x[2][:0] if empty else x[2]
    path.write_text("".join(json.dumps({"x": one.tolist(), "y": "ab"[n % 2]}) + "\n" for n, one in enumerate(x)))
    return path


def test_a_file_with_an_empty_sequence_is_examined_without_a_network(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = write_waves(tmp_path / "waves.jsonl", empty=True)
    run(script, monkeypatch, "--sequences", file, "--out", tmp_path / "out")
    tree = json.loads((tmp_path / "out" / "doctor.json").read_text())
    assert [(one["name"], one["remark"]) for one in tree["findings"]] == [("empty_sequences", "line 3")]
    outcomes = {check["name"]: check["outcome"] for check in tree["checks"]}
    assert outcomes["shuffled_labels"] == outcomes["overlap"] == "not found" and outcomes["gap"] == "not checked"
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ('{"x": [1, 2]}\n{"x": [[1, 2]]}\n', [], "line 2: got 2 numbers in a step; expected 1"),
        ('{"x": [1, 2], "y": "a"}\n' * 3, [], "got the one label 'a'; expected at least 2 classes"),
        ("", [], "task.path: got an empty file"),
        ('{"x": [1, 2], "y": "a"}\n' * 3, ["--set", "task.predict=colour"], "task.predict: got 'colour'"),
    ],
)
def test_a_bad_file_of_sequences_is_refused_and_nothing_written(
    text: str, options: list[str], message: str, script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text(text)
    with pytest.raises(BadInput, match=message):
        run(script, monkeypatch, "--sequences", file, "--out", tmp_path / "out", *options)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_network_is_trained_on_sequences_and_examined(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file, packed = (
        write_waves(tmp_path / "waves.jsonl"),
        ["--set", "task.batches=packed", "--set", "bidirectional=true"],
    )
    changes = ["--set", "steps=8", "--set", "validate_every=4", "--set", "hidden=4", "--set", "log_every=1"]
    run(script, monkeypatch, "--sequences", file, "--out", tmp_path / "out", *changes, *packed)
    outcomes = {
        check["name"]: check["outcome"]
        for check in json.loads((tmp_path / "out" / "doctor.json").read_text())["checks"]
    }
    names = ("empty_sequences", "overlap", "padding_read", "state_leak", "padding_counted", "shuffled_labels")
    assert [outcomes[name] for name in names] == ["not found"] * len(names)


def torch_weights(symbols: int, hidden: int = 4, inputs: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {
        "emb.weight": (symbols, inputs),
        "rnn.weight_ih_l0": (hidden, inputs),
        "rnn.weight_hh_l0": (hidden, hidden),
    }
    shapes |= {"rnn.bias_ih_l0": (hidden,), "rnn.bias_hh_l0": (hidden,), "fc.weight": (symbols, hidden)}
    return {
        name: rng.normal(size=shape).astype(np.float32) for name, shape in (shapes | {"fc.bias": (symbols,)}).items()
    }


@pytest.mark.slow
def test_weights_of_another_library(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, model = tmp_path / "text.txt", tmp_path / "wan.safetensors"
    text.write_text("wan wan wan.\nto be or not to be.\n" * 20)
    model.write_bytes(safetensors_bytes(torch_weights(len(set(text.read_text())))))
    run(script, monkeypatch, "--model", model, "--data", text, "--out", tmp_path / "out")
    tree = json.loads((tmp_path / "out" / "doctor.json").read_text())
    assert tree["title"] == str(model) and tree["findings"], "it was not trained"
    model.write_bytes(safetensors_bytes(torch_weights(3)))
    with pytest.raises(BadInput, match=r"^vocabulary: got 11 tokens; expected 3, as the network reads"):
        run(script, monkeypatch, "--model", model, "--data", text, "--out", tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_arrays_for_weights_of_another_library(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = {name: array for name, array in torch_weights(3).items() if "emb" not in name}
    model, data = tmp_path / "a.safetensors", tmp_path / "a.npz"
    model.write_bytes(safetensors_bytes(weights))
    x = np.sin(np.arange(60.0)).reshape(10, 2, 3).astype(np.float32)
    np.savez(data, inputs=x, targets=x, reference=x)
    run(script, monkeypatch, "--model", model, "--data", data, "--out", tmp_path / "out")
    found = {finding["name"] for finding in json.loads((tmp_path / "out" / "doctor.json").read_text())["findings"]}
    assert "other_outputs" in found
    np.savez(data, inputs=x, outputs=x)
    with pytest.raises(BadInput, match=r"a.npz: has inputs, outputs; expected inputs and targets, time first"):
        run(script, monkeypatch, "--model", model, "--data", data)
    np.save(tmp_path / "a.npy", x[0])
    with pytest.raises(BadInput, match=r"a.npy: a tenth of it has 1 steps; expected at least 9$"):
        run(script, monkeypatch, "--model", model, "--data", tmp_path / "a.npy")


def test_a_model_without_data_or_of_another_kind_is_refused(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "a.bin"
    model.write_bytes(b"x")
    np.save(tmp_path / "a.npy", np.zeros(50))
    with pytest.raises(BadInput, match=r"^--model and --data require each other"):
        run(script, monkeypatch, "--model", model)
    with pytest.raises(BadInput, match=r"^--model: got 'a.bin'; expected a name that ends in .safetensors, .pt"):
        run(script, monkeypatch, "--model", model, "--data", tmp_path / "a.npy")
    with pytest.raises(BadInput, match=r"b.pt: no such file"):
        run(script, monkeypatch, "--model", tmp_path / "b.pt", "--data", tmp_path / "a.npy")
