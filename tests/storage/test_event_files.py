"""TensorBoard files, read back the way TensorBoard reads them."""

import os
import resource
import time
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
from tensorboard.plugin_util import markdown_to_safe_html
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import plugin_data_pb2

from rnnjax.errors import StorageFailed
from rnnjax.storage.event_files import ALIVE, ArmCurves, Chart, CurveTag, histogram_edges

SEEDS = 5
STEPS = 100
TAGS = [CurveTag("loss", "mean", "loss"), *(CurveTag("loss", each, f"loss/{each}") for each in ("lo", "hi", "median"))]
TAGS += [CurveTag(ALIVE, "diverged", "more/diverged_runs"), CurveTag("never", "mean", "more/never")]
LOSS_nS = np.random.default_rng(0).normal(size=(SEEDS, STEPS)) + 3


def _read(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0, "histograms": 0}).Reload()


def _series(folder: Path, tag: str) -> dict[int, float]:
    events = _read(folder).Scalars(tag)
    found = {event.step: event.value for event in events}
    assert len(found) == len(events), f"{tag}: a step is there twice"
    return found


def _write(curves: ArmCurves, first: int, last: int, wrong_by: float = 0.0) -> None:
    steps_S = np.arange(first, last + 1)
    values_nS = LOSS_nS[:, steps_S - 1] + wrong_by
    curves.rows(steps_S, {"loss": values_nS}, np.ones_like(values_nS, bool), TAGS)
    curves.histogram(last, "units", values_nS)
    curves.text(last, "samples/greedy", f"at {last}")


def _kill(folder: Path, attempt: int) -> None:
    """As SIGKILL leaves it: nothing closed, and the last record cut."""
    path = folder / f"events.out.tfevents.{attempt:06d}"
    os.truncate(path, path.stat().st_size - 7)


def _interrupted(folder: Path) -> None:
    """Four attempts; what a killed one wrote after the checkpoint is wrong, so that it shows if it is still there."""
    curves = ArmCurves(folder, 1)
    _write(curves, 1, 15, wrong_by=1000)
    _kill(folder, 1)
    curves = ArmCurves(folder, 2)  # killed before any checkpoint: afresh
    _write(curves, 1, 20)
    _write(curves, 21, 40, wrong_by=1000)
    _kill(folder, 2)
    curves = ArmCurves(folder, 3, resumed_step=20)
    _write(curves, 21, 50)
    _write(curves, 51, 60, wrong_by=1000)
    curves.hparams({"gain": 1.0}, {"final_loss": 1000.0})
    _kill(folder, 3)
    curves = ArmCurves(folder, 4, resumed_step=50)
    _write(curves, 51, STEPS)
    curves.hparams({"gain": 1.0}, {"final_loss": 1.5})


@pytest.mark.parametrize("clock", ["running", "standing", "set back"])
def test_each_step_is_there_once_after_kills_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: str
) -> None:
    now = time.time()
    ticks = iter(np.arange(now, now - 1e6, -1) if clock == "set back" else np.full(10_000, now))
    if clock != "running":
        monkeypatch.setattr(time, "time", lambda: float(next(ticks)))
    _interrupted(tmp_path)
    monkeypatch.undo()
    wanted = {step: LOSS_nS[:, step - 1].mean() for step in range(1, STEPS + 1)}
    assert _series(tmp_path, "loss") == pytest.approx(wanted)
    assert _series(tmp_path, "results/final_loss") == {STEPS + 1: 1.5}
    read = _read(tmp_path)
    assert [event.step for event in read.Histograms("units")] == [20, 50, STEPS]
    assert [event.step for event in read.Tensors("samples/greedy/text_summary")] == [20, 50, STEPS]


def test_a_running_tensorboard_forgets_what_a_new_attempt_repeats(tmp_path: Path) -> None:
    curves = ArmCurves(tmp_path, 1)
    _write(curves, 1, 30, wrong_by=1000)
    running = _read(tmp_path)
    curves = ArmCurves(tmp_path, 2, resumed_step=20)
    _write(curves, 21, 25)
    assert [event.step for event in running.Reload().Scalars("loss")] == list(range(1, 26))


def test_a_damaged_file_of_an_earlier_attempt_is_kept_up_to_the_damage(tmp_path: Path) -> None:
    curves = ArmCurves(tmp_path, 1)
    _write(curves, 1, 30)
    path = tmp_path / "events.out.tfevents.000001"
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle:] = b"\xff" * (len(data) - middle)
    path.write_bytes(data)
    curves = ArmCurves(tmp_path, 2, resumed_step=5)
    _write(curves, 6, 9)
    assert _series(tmp_path, "loss").keys() == set(range(1, 10))


@pytest.mark.parametrize("values", [[1e8] * 3, [1, np.nextafter(1, 2)], [1e17, 1e17 + 16], [0, 0], [-3e38, 3e38]])
def test_every_set_of_values_has_a_histogram(values: list[float]) -> None:
    edges = histogram_edges(np.array(values))
    assert np.all(np.diff(edges) > 0)
    assert np.histogram(values, edges)[0].sum() == len(values)


def test_the_band_is_the_t_interval_over_the_runs_alive(tmp_path: Path) -> None:
    values_nS, alive_nS = LOSS_nS[:, :4].copy(), np.ones((SEEDS, 4), bool)
    alive_nS[0, 1:] = False
    values_nS[0, 1:] = np.nan
    alive_nS[1:, 2] = False  # nobody alive
    alive_nS[1:, 3], alive_nS[2, 3] = False, True  # one alive: a mean without an interval
    curves = ArmCurves(tmp_path, 1)
    curves.rows(np.arange(4), {"loss": values_nS}, alive_nS, TAGS)
    lo, hi = _series(tmp_path, "loss/lo"), _series(tmp_path, "loss/hi")
    assert lo.keys() == hi.keys() == {0, 1}
    for step, kept in ((0, slice(0, None)), (1, slice(1, None))):
        alive_n = values_nS[kept, step]
        wanted = scipy.stats.t.interval(0.95, len(alive_n) - 1, alive_n.mean(), scipy.stats.sem(alive_n))
        assert (lo[step], hi[step]) == pytest.approx(wanted, rel=1e-6)
    assert _series(tmp_path, "loss")[3] == pytest.approx(values_nS[2, 3])
    assert _series(tmp_path, "loss/median")[1] == pytest.approx(np.median(values_nS[1:, 1]))
    assert _series(tmp_path, "loss").keys() == {0, 1, 3}
    assert _read(tmp_path).Tags()["scalars"] == [each.tag for each in TAGS[:-1]], "none of a value without rows"
    assert _series(tmp_path, "more/diverged_runs") == {0: 0, 1: 1, 2: SEEDS, 3: SEEDS - 1}


def test_hparams_are_in_the_arms_own_run(tmp_path: Path) -> None:
    for arm, gain in (("orthogonal", 0.5), ("random/0.1", np.inf)):
        curves = ArmCurves(tmp_path / arm, 1)
        curves.hparams({"gain": gain, "cell": "elman", "hidden": 64}, {"final_loss": 1.25, "never": np.nan})
    runs = EventMultiplexer().AddRunsFromDirectory(str(tmp_path)).Reload()
    assert runs.Runs().keys() == {"orthogonal", "random/0.1"}
    contents = runs.PluginRunToTagToContent("hparams")["random/0.1"]
    assert contents.keys() == {f"_hparams_/{part}" for part in ("experiment", "session_start_info", "session_end_info")}
    start = plugin_data_pb2.HParamsPluginData.FromString(contents["_hparams_/session_start_info"]).session_start_info
    assert start.hparams["gain"].string_value == "inf", "an infinite number breaks the HParams page"
    assert start.hparams["hidden"].number_value == 64
    assert [event.value for event in runs.Scalars("orthogonal", "results/final_loss")] == [1.25]
    assert "results/never" not in runs.Runs()["orthogonal"]["scalars"]


def test_the_layout_keeps_the_order_and_loads_its_first_category(tmp_path: Path) -> None:
    curves = ArmCurves(tmp_path, 1)
    curves.layout({"Loss": [Chart("all", ["^loss$"]), Chart("band", ["a", "b"])], "More": [Chart("norm", ["c"])]})
    (event,) = _read(tmp_path).Tensors("custom_scalars__config__")
    layout = layout_pb2.Layout.FromString(event.tensor_proto.string_val[0])
    assert [(each.title, each.closed) for each in layout.category] == [("Loss", False), ("More", True)]
    charts = [(chart.title, list(chart.multiline.tag)) for chart in layout.category[0].chart]
    assert charts == [("all", ["^loss$"]), ("band", ["a", "b"])]


def test_a_text_is_shown_as_it_stands(tmp_path: Path) -> None:
    hostile = "# no heading\r<script>alert(1)</script> *no emphasis*\n\x85![x](http://x) \ud800"
    curves = ArmCurves(tmp_path, 1)
    curves.text(0, "samples", hostile)
    (event,) = _read(tmp_path).Tensors("samples/text_summary")
    shown = markdown_to_safe_html(event.tensor_proto.string_val[0])
    assert shown.count("<") == 4 and shown.startswith("<pre><code># no heading"), shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt; *no emphasis*" in shown
    assert "\\ud800" in shown


def test_a_full_disk_is_named_at_once(tmp_path: Path) -> None:
    curves = ArmCurves(tmp_path, 1)
    (tmp_path / "events.out.tfevents.000001").unlink()
    (tmp_path / "events.out.tfevents.000001").symlink_to("/dev/full")
    began = time.monotonic()
    with pytest.raises(StorageFailed, match="No space left"):
        _write(curves, 1, 10)
    assert time.monotonic() - began < 5


def test_more_arms_than_files_that_may_be_open(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        for curves in [ArmCurves(tmp_path / str(arm), 1) for arm in range(100)]:
            _write(curves, 1, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    sizes = {path.stat().st_size for path in tmp_path.rglob("events.*")}
    assert len(sizes) == 1 and min(sizes) > 100, "each has the same records"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailed, match="file/arm"):
        ArmCurves(tmp_path / "file" / "arm", 1)
