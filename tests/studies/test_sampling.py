"""A trained network out of a run folder, and what scripts/sample.py lets it say."""

import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax import devices
from rnnjax.cli.common import run_command
from rnnjax.cli.sample import build_options
from rnnjax.config.load import load_study
from rnnjax.errors import BadInput
from rnnjax.networks.beam_search import beam_search
from rnnjax.settings import Spec
from rnnjax.settings.vocabulary import ids_to_text, text_to_ids
from rnnjax.storage.sealed import read_sealed_json, write_sealed_json
from rnnjax.studies.forecast_table import ForecastOptions, ForecastTable, forecast_table, format_forecast
from rnnjax.studies.load_networks import LoadedNetwork, load_network
from rnnjax.studies.run import run_study
from rnnjax.studies.sampling import (
    TEMPERATURE,
    SamplingOptions,
    check_series_options,
    sample_from_folder,
)

SCRIPT = Path(__file__).parents[2] / "scripts" / "sample.py"

STUDY = """
question = "Does it speak?"
seeds = 2
[base]
hidden = 8
window = 5
steps = 40
log_every = 20
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
    run_study(load_study(place / "tiny.toml"), place / "out")
    return place / "out"


def kernel(network: LoadedNetwork) -> np.ndarray:
    return np.asarray(network.params["layer_0"]["recurrent_kernel"])


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


def said(folder: Path, length: int = 30, **wishes: Any) -> str:
    return sample_from_folder(folder, "gain=1", 43, length, SamplingOptions(**wishes))


def test_it_writes_what_was_asked_for(folder: Path) -> None:
    text = said(folder, prompt="the ", greedy=True)
    assert text.startswith("the ")
    assert len(text) == 34
    assert text == said(folder, prompt="the ", beam=1), "a beam of width 1 is greedy"
    drawn = [said(folder, prompt="the ", random=seed) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    default = said(folder, prompt="the ", temperature=TEMPERATURE)
    assert drawn[0] == default != said(folder, prompt="the ", temperature=9.0)
    assert f"> 0; default {TEMPERATURE}" in build_options().format_help()


@pytest.mark.slow
def test_truncation_is_that_of_the_options(folder: Path) -> None:
    vocabulary = len(load_network(folder, None, None).vocabulary)
    greedy, plain = said(folder, greedy=True), said(folder, random=0)
    assert said(folder, top_k=1) == said(folder, top_p=1e-6) == greedy != plain
    assert said(folder, top_k=vocabulary) == said(folder, top_p=1.0) == plain
    assert greedy != said(folder, top_k=4) != plain != said(folder, top_p=0.3) != greedy


@pytest.mark.slow
def test_a_beam_is_that_of_the_options(folder: Path) -> None:
    found = load_network(folder, "gain=1", 43)
    prompts_TP = jnp.asarray(text_to_ids("the ", found.vocabulary))[:, None]
    end = found.vocabulary.index("e")
    texts = {}
    for penalty in (0.0, 5.0):
        best = beam_search(found.spec, found.hp, found.params, prompts_TP, 30, 12, jnp.float32(penalty), jnp.int32(end))
        texts[penalty] = "the " + ids_to_text(np.asarray(best.ids_MNP[0, : best.lengths_MP[0, 0], 0]), found.vocabulary)
        assert said(folder, prompt="the ", beam=12, end="e", length_penalty=penalty) == texts[penalty]
    assert texts[0.0] == said(folder, prompt="the ", beam=12, end="e") != texts[5.0]


def test_the_end_character_ends_any_text(folder: Path) -> None:
    """Also one that is drawn; the prompt may have it."""
    whole = said(folder, 200, prompt="the the", random=3)
    place = whole.index("e", len("the the"))
    assert said(folder, 200, prompt="the the", random=3, end="e") == whole[: place + 1]


@pytest.mark.parametrize(
    ("arm", "seed", "wishes", "message"),
    [
        ("gain=2", None, {}, "--arm: got 'gain=2'; expected one of 2, nearest: gain=1, gain=0.5"),
        (None, 7, {}, "--seed: got 7; expected one of 2, nearest: 42, 43"),
        (None, None, {"prompt": "Ω"}, r"--prompt: .*'Ω' \(U\+03A9\).*not in the vocabulary"),
        (None, None, {"end": "Ω"}, r"--end: .*'Ω' \(U\+03A9\).*not in the vocabulary"),
        (None, None, {"end": "ab"}, "--end: got 'ab'; expected one character"),
        (None, None, {"end": ""}, "--end: got ''; expected one character"),
        (None, None, {"top_k": 0}, r"--top-k: got 0; expected integer in 1..\d+ \(the vocabulary\)"),
        (None, None, {"top_k": 1000}, r"--top-k: got 1000; expected integer in 1..\d+ \(the vocabulary\)"),
    ],
)
def test_what_is_not_there_is_refused(
    folder: Path, arm: str | None, seed: int | None, wishes: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        sample_from_folder(folder, arm, seed, 5, SamplingOptions(**wishes))


def test_a_folder_without_a_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no trained network here"):
        load_network(tmp_path, None, None)


def changed(folder: Path, place: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of a run folder with another manifest."""
    shutil.copytree(folder, place)
    manifest = read_sealed_json(place / "manifest.json")
    change(manifest)
    write_sealed_json(place / "manifest.json", manifest)
    return place


def only_group(manifest: dict[str, Any]) -> dict[str, Any]:
    (entry,) = manifest["groups"].values()
    return entry


def test_a_folder_of_an_older_rnnjax_is_refused(folder: Path, tmp_path: Path) -> None:
    older = changed(folder, tmp_path / "out", lambda manifest: only_group(manifest).update(columns=["x"]))
    with pytest.raises(BadInput, match="was written by an older rnnjax"):
        sample_from_folder(older, None, None, 5, SamplingOptions())


def test_a_network_that_speaks_neither_is_refused(folder: Path, tmp_path: Path) -> None:
    mute = changed(folder, tmp_path / "out", lambda manifest: only_group(manifest).update(vocabulary=""))
    with pytest.raises(BadInput, match="got a network of the task 'grammar'; expected a text or a series"):
        sample_from_folder(mute, None, None, 5, SamplingOptions())


def test_a_network_that_reads_both_ways_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = load_network(folder, None, None)
    both = both._replace(spec=Spec(bidirectional=True))
    monkeypatch.setattr("rnnjax.studies.sampling.load_network", lambda *_: both)
    with pytest.raises(BadInput, match="bidirectional: got true; expected false"):
        sample_from_folder(folder, None, None, 5, SamplingOptions())


# Series; the numbers of forecasts are tested in test_forecasting.py

ROWS = np.random.default_rng(0).normal(size=(14, 2)).round(3).tolist()
TABLE = 'load,"a,b"\n' + "".join(f"{one},{other}\n" for one, other in ROWS)


def test_a_forecast_is_a_csv_table() -> None:
    table = ForecastTable(("load\x1b[2J", "a,b"), np.array([[1.0, -0.1], [1e-7, 123456.789]]), None, [])
    assert format_forecast(table) == 'load\\x1b[2J,"a,b"\n1,-0.1\n1e-07,123456.789'
    bounds_NO2 = np.array([[[-1.0, 2.0], [-0.5, 0.5]], [[np.nan] * 2] * 2])
    truth_NO = np.array([[5.0, np.nan]] * 2)
    more = table._replace(index_name="t", labels=["7", "8"], truth_NO=truth_NO, bounds_NO2=bounds_NO2)
    header, first, second = format_forecast(more).split("\n")
    load = "load\\x1b[2J"
    assert header == f't,{load},{load}_low,{load}_high,{load}_true,"a,b","a,b_low","a,b_high","a,b_true"'
    assert (first, second) == ("7,1,0,3,5,-0.1,-0.6,0.4,", "8,1e-07,,,5,123456.789,,,")


@pytest.mark.parametrize("wishes", [{"prompt": ""}, {"greedy": True}, {"top_k": 3}, {"random": 0}, {"end": "x"}])
def test_a_series_has_no_wishes(wishes: dict[str, Any]) -> None:
    check_series_options(SamplingOptions())
    name = "--" + next(iter(wishes)).replace("_", "-")
    with pytest.raises(BadInput, match=rf"{name}: got .*; this network reads a series, not a text"):
        check_series_options(SamplingOptions(**wishes))


@pytest.mark.slow
def test_a_run_folder_of_a_series(tmp_path: Path) -> None:
    """From a study to the CSV rows."""
    (tmp_path / "table.csv").write_text(TABLE)
    (tmp_path / "tiny.toml").write_text(
        f"question = 'q'\nseeds = 2\n[base]\ntask.name = 'series'\ntask.path = '{tmp_path}/table.csv'\n"
        "task.validation = 0.4\nhidden = 3\nwindow = 4\nsteps = 4\nlog_every = 2\nblock = 2\n"
    )
    run_study(load_study(tmp_path / "tiny.toml"), tmp_path / "out")
    found = load_network(tmp_path / "out", None, 43)
    assert (found.spec.inputs, found.spec.loss, found.columns) == (2, "squared_error", ("load", "a,b"))
    text = sample_from_folder(tmp_path / "out", None, 43, 6, SamplingOptions())
    assert text == format_forecast(forecast_table(tmp_path / "out", found, 6, ForecastOptions()))
    assert text.splitlines()[0] == 'load,"a,b"' and len(text.splitlines()) == 7
    with pytest.raises(BadInput, match="--prompt: got 'x'; this network reads a series, not a text"):
        sample_from_folder(tmp_path / "out", None, 43, 6, SamplingOptions(prompt="x"))


@pytest.mark.parametrize("option", [{"start": "3"}, {"interval": 0.5}])
def test_a_text_has_no_rows(option: dict[str, Any], folder: Path) -> None:
    name = {"start": "--from", "interval": "--interval"}[next(iter(option))]
    with pytest.raises(BadInput, match=f"{name}: got .*; this network reads a text, not a series"):
        sample_from_folder(folder, None, None, 5, SamplingOptions(), ForecastOptions(**option))


# The script


def script() -> Any:
    spec = importlib.util.spec_from_file_location("sample_script", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAIN = script().main


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the script's main as `run_command` does for a user: exit code, stdout, stderr."""
    monkeypatch.setattr(devices, "prepare", lambda: None)  # JAX is set up already

    def asked(*options: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sample.py", *options])
        with pytest.raises(SystemExit) as exit_:
            run_command(MAIN)
            sys.exit(0)
        out, error = capsys.readouterr()
        return int(exit_.value.code or 0), out, error

    return asked


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--temperature 0", "--temperature: got 0.0; expected number > 0 and finite. Use --greedy for 0"),
        ("--temperature -1", "--temperature: got -1.0; expected number > 0"),
        ("--temperature nan", "--temperature: got nan; expected number > 0"),
        ("--temperature inf", "--temperature: got inf; expected number > 0"),
        ("--temperature 1e39", "--temperature: got 1e+39; expected number > 0"),
        ("--temperature 1e-50", "--temperature: got 1e-50; expected number > 0"),
        ("--top-p 0", "--top-p: got 0.0; expected number > 0 and <= 1"),
        ("--top-p 1.1", "--top-p: got 1.1; expected number > 0 and <= 1"),
        ("--top-p nan", "--top-p: got nan; expected number > 0 and <= 1"),
        ("--top-k x", "argument --top-k: invalid int value: 'x'"),
        ("--length 0", "--length: got 0; expected integer in 1..100000"),
        ("--length 99999999999999999999", "--length: got 99999999999999999999; expected integer in 1..100000"),
        ("--interval 0", "--interval: got 0.0; expected number > 0 and < 1"),
        ("--interval nan", "--interval: got nan; expected number > 0 and < 1"),
        ("--beam 0", "--beam: got 0; expected integer in 1..1000"),
        ("--beam 9999999", "--beam: got 9999999; expected integer in 1..1000"),
        ("--random -1", "--random: got -1; expected integer in 0..4294967295"),
        ("--beam 3 --length-penalty nan", "--length-penalty: got nan; expected number in 0..5"),
        ("--beam 3 --length-penalty inf", "--length-penalty: got inf; expected number in 0..5"),
        ("--beam 3 --length-penalty -1", "--length-penalty: got -1.0; expected number in 0..5"),
        ("--length-penalty 1", "--length-penalty requires --beam"),
        ("--beam 3 --top-k 2", "--beam and --top-k are mutually exclusive"),
        ("--beam 3 --top-p 0.5", "--beam and --top-p are mutually exclusive"),
        ("--beam 3 --temperature 2", "--beam and --temperature are mutually exclusive"),
        ("--beam 3 --greedy", "--beam and --greedy are mutually exclusive"),
        ("--beam 3 --random 0", "--beam and --random are mutually exclusive"),
        ("--greedy --temperature 2", "--greedy and --temperature are mutually exclusive"),
        ("--greedy --top-k 2", "--greedy and --top-k are mutually exclusive"),
    ],
)
def test_a_bad_option_is_refused_before_the_folder_is_read(
    options: str, message: str, ask: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    code, out, error = ask(str(tmp_path / "none"), *options.split())
    assert (code, out) == (2, "")
    assert error.startswith(f"rnnjax: error: {message}") and len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "wishes"),
    [
        ("", {}),
        ("--greedy", {"greedy": True}),
        ("--temperature 0.5 --top-k 5 --top-p 0.9 --random 4 --end e", {
            "temperature": 0.5, "top_k": 5, "top_p": 0.9, "random": 4, "end": "e"}),
        ("--prompt the --beam 4 --length-penalty 0.6 --end e", {
            "prompt": "the", "beam": 4, "length_penalty": 0.6, "end": "e"}),
    ],
)  # fmt: skip
def test_the_script_says_what_its_options_ask_for(
    options: str, wishes: dict[str, Any], ask: Callable[..., tuple[int, str, str]], folder: Path
) -> None:
    code, out, _ = ask(str(folder), "--arm", "gain=1", "--seed", "43", "--length", "20", *options.split())
    assert (code, out) == (0, said(folder, 20, **wishes) + "\n")
