"""A user's table through a study: masked rows, the index in a forecast, notices, and what a run is known by."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from rnnjax import devices
from rnnjax.cli import doctor
from rnnjax.config.load import load_study
from rnnjax.errors import BadInput
from rnnjax.settings import HParams, TaskSpec
from rnnjax.settings.later_fields import TABLE_FIELDS
from rnnjax.storage.manifest import config_hash
from rnnjax.studies.load_results import load_results
from rnnjax.studies.run import run_study
from rnnjax.studies.sampling import SamplingOptions, sample_from_folder
from rnnjax.tasks.missing_rows import fill_rows
from rnnjax.tasks.series import held_out_reference_losses, series_task
from rnnjax.tasks.windows import held_out_window, task_windows
from rnnjax.training.batching import random_window, sequential_window

STUDY = """
question = "Does it read the table?"
seeds = 1
[base]
task.name = "series"
task.path = "{path}"
hidden = 4
window = 5
steps = 20
log_every = 10
block = 1
validate_every = 10
reduction = "mean"
"""
DAYS = [str(np.datetime64("2021-01-05") + np.timedelta64(day, "D")) for day in range(60)]
VALUES = np.sin(np.arange(60) / 3).round(3)


def write(folder: Path, lines: list[str], name: str = "level.csv") -> Path:
    (folder / name).write_text("\n".join(lines) + "\n")
    (folder / "tiny.toml").write_text(STUDY.format(path=folder / name))
    return folder / "tiny.toml"


def dated(missing: tuple[int, ...] = ()) -> list[str]:
    cells = ["NA" if i in missing else str(value) for i, value in enumerate(VALUES)]
    return ["date,level", *(f"{day},{cell}" for day, cell in zip(DAYS, cells, strict=True))]


# The mask


def masked(missing: tuple[int, ...] = (7, 8, 23, 57), **fields: str) -> object:
    return series_task(TaskSpec(name="series", missing="mask", **fields), "\n".join(dated(missing)))  # type: ignore[arg-type]


def test_missing_rows_are_filled_and_not_counted() -> None:
    task = masked()
    pairs = task.make_sequence(task.train_N)
    assert pairs.measured_N.tolist() == [float(i not in (7, 8, 23)) for i in range(1, 54)]
    filled = fill_rows(task.train_N)
    np.testing.assert_array_equal(filled[[7, 8, 23]], task.train_N[[6, 6, 22]])
    np.testing.assert_array_equal(pairs.inputs_N, filled[:-1])
    assert np.isfinite(pairs.targets_N).all()
    kept = np.delete(VALUES[:54], [7, 8, 23])
    assert (task.target_mean_O[0], task.target_scale_O[0]) == pytest.approx((kept.mean(), kept.std()))


@pytest.mark.parametrize("order", [sequential_window, random_window])
def test_the_mask_moves_with_the_windows(order: object) -> None:
    """The targets that count are the measured ones, wherever a window begins; the second column names the row."""
    lines = [f"{line.partition(',')[2]},{row**1.5:.3f}" for row, line in enumerate(dated((7, 8, 23, 57))[1:])]
    task = series_task(TaskSpec(name="series", missing="mask"), "\n".join(["level,row", *lines]))
    data = task_windows(task, task.train_N, 2, 5)
    pairs = task.make_sequence(task.train_N)
    measured = dict(zip(pairs.inputs_N[:, 1].tolist(), pairs.measured_N.tolist(), strict=True))
    assert len(measured) == 53
    missed = 0
    for step in range(12):
        window, _ = order(HParams(), data, np.int32(step))
        read = np.asarray(window.inputs_WTB)[..., 1].ravel().tolist()
        counted = np.asarray(window.loss_mask_WTB).ravel().tolist()
        assert counted == [measured[row] for row in read]
        missed += counted.count(0)
    assert missed
    held_out = held_out_window(task, 5, carried=True)
    assert held_out.loss_mask_WTB.sum() == held_out.loss_mask_WTB.size - 1


def test_the_levels_leave_missing_rows_out() -> None:
    rng = np.random.default_rng(0)
    train, validation = rng.normal(size=(80, 2)), rng.normal(size=(30, 2))
    whole = held_out_reference_losses(train, validation)
    gappy = validation.copy()
    gappy[[4, 11], 1] = np.nan
    found = held_out_reference_losses(train, gappy)
    counted = np.delete(np.arange(1, 30), [3, 10])
    past = validation.copy()
    past[[4, 11], 1] = validation[[3, 10], 1]
    assert found["chance"] == pytest.approx(np.mean((validation[counted] - train.mean(axis=0)) ** 2))
    assert found["persistence"] == pytest.approx(np.mean((validation[counted] - past[counted - 1]) ** 2))
    assert found["linear"] == pytest.approx(whole["linear"], rel=0.5)
    assert found.keys() == whole.keys()


@pytest.mark.parametrize(("field", "value"), [("loss_steps", "last"), ("time_axis", "batch")])
def test_a_mask_does_not_go_with_another_mask(field: str, value: str) -> None:
    with pytest.raises(
        BadInput, match=f"task.missing: got 'mask' with task.{field} = '{value}'; expected --set task.missing=drop"
    ):
        masked(**{field: value})


@pytest.mark.slow
def test_what_is_missing_has_no_part_in_a_study(tmp_path: Path) -> None:
    """Other numbers in the place of missing targets give the same bits; a mask gives others than interpolation."""
    losses = {}
    for way in ("mask", "interpolate"):
        study = load_study(write(tmp_path, dated((7, 8, 57))), [f"task.missing={way}"])
        run_study(study, tmp_path / way)
        losses[way] = load_results(tmp_path / way).arms[0].rows["loss"]
    assert np.isfinite(losses["mask"]).all() and (losses["mask"] != losses["interpolate"]).any()
    assert (
        "lacks 3 of 60 numbers, not counted in the loss (lines 9, 10, 59)"
        in (tmp_path / "mask" / "report.md").read_text()
    )


# Forecasts


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lines", "first", "header"),
    [
        (dated(), ["2021-03-06", "2021-03-07"], "date,level"),
        (["level", *map(str, VALUES)], None, "level"),
        ([",level", *(f"{i},{value}" for i, value in enumerate(VALUES))], ["60", "61"], ",level"),
        (
            ["t,level", *(f"2021-{1 + i // 28:02}-{1 + i * i % 28:02},{value}" for i, value in enumerate(VALUES))],
            None,
            "",
        ),
    ],
)
def test_a_forecast_carries_the_index(lines: list[str], first: list[str] | None, header: str, tmp_path: Path) -> None:
    path = write(tmp_path, lines)
    if not header:
        with pytest.raises(BadInput, match="the dates are not in order"):
            run_study(load_study(path), tmp_path / "out")
        assert not (tmp_path / "out").exists()
        return
    run_study(load_study(path), tmp_path / "out")
    text = sample_from_folder(tmp_path / "out", None, None, 2, SamplingOptions()).split("\n")
    assert text[0] == header and len(text) == 3
    assert [line.split(",")[0] for line in text[1:]] == first or first is None
    assert all(len(line.split(",")) == len(header.split(",")) for line in text)


# What a run is known by


def test_settings_of_tables_at_their_defaults_change_no_identity(tmp_path: Path) -> None:
    """The sha256 of version 0.2: when it changes, older folders cannot be resumed."""
    (tmp_path / "tiny.toml").write_text('question = "q"\nseeds = 2\n[base]\nhidden = 3\n')
    plain = load_study(tmp_path / "tiny.toml").config
    task = plain["arms"]["base"]["task"]
    assert not set(TABLE_FIELDS) & set(task) and TaskSpec(**task) == TaskSpec()
    assert config_hash(plain) == "39ea338af8089460021e3dde2c0f33774497ab2ac5b665ec03074adbd63f3157"
    set_ = load_study(tmp_path / "tiny.toml", ["task.decimal=comma"]).config
    assert set_["arms"]["base"]["task"]["decimal"] == "comma" and config_hash(set_) != config_hash(plain)
    (tmp_path / "two.toml").write_text('question = "q"\nseeds = 2\n[[axes]]\ntask.missing = ["refuse", "drop"]\n')
    arms = load_study(tmp_path / "two.toml").config["arms"]
    assert [arm["task"]["missing"] for arm in arms.values()] == ["refuse", "drop"]


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("task.missing_values=-9999", "missing_values", "-9999"),
        ("task.columns=2021", "columns", "2021"),
        ('task.missing_values="-9999"', "missing_values", "-9999"),
        ("task.skip_lines=1", "skip_lines", "1"),
        ("task.where=a=5", "where", "a=5"),
    ],
)
def test_a_text_after_set_needs_no_quotes(text: str, name: str, value: str, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text('question = "q"\nseeds = 2\n')
    assert getattr(load_study(tmp_path / "tiny.toml", [text]).arms[0].spec.task, name) == value


# The doctor's options


def diagnostic_study(monkeypatch: pytest.MonkeyPatch, *options: str) -> object:
    monkeypatch.setattr(sys, "argv", ["doctor.py", *options])
    monkeypatch.setattr(devices, "prepare", lambda: None)
    return doctor.diagnostic_study(doctor.arguments())


def test_the_doctor_sets_what_its_messages_name(monkeypatch: pytest.MonkeyPatch) -> None:
    options = [
        "--series",
        "a.csv",
        "--set",
        "task.order=reverse",
        "--set",
        "window=8",
        "--set",
        "task.missing_values=-9999",
    ]
    study = diagnostic_study(monkeypatch, *options)
    spec = study.arms[0].spec
    assert (spec.task.order, spec.window, spec.task.missing_values, spec.task.path) == ("reverse", 8, "-9999", "a.csv")
    with pytest.raises(BadInput, match="--set requires --text, --series or --sequences"):
        diagnostic_study(monkeypatch, "folder", "--set", "window=8")
    with pytest.raises(BadInput, match="unknown field 'windw'; did you mean 'window'"):
        diagnostic_study(monkeypatch, "--series", "a.csv", "--set", "windw=8")


def test_a_short_file_is_refused_with_settings_that_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from rnnjax.studies.prepare import prepare_study

    path = tmp_path / "short.csv"
    path.write_text("\n".join(dated()))
    options: list[str] = []
    for _ in range(4):
        study = diagnostic_study(monkeypatch, "--series", str(path), *options)
        try:
            prepare_study(study)
        except BadInput as error:
            assert "; use --set " in str(error)
            named = str(error).split("; use ")[1].split(" or ")[0].split()
            options += named
        else:
            break
    else:
        raise AssertionError(options)
    assert options


@pytest.mark.slow
def test_a_manifest_keeps_index_and_notices(tmp_path: Path) -> None:
    lines = dated()
    lines[5] = lines[5].split(",")[0] + ",-9999"
    run_study(load_study(write(tmp_path, lines)), tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    [group], [series] = manifest["groups"].values(), manifest["series"]
    assert series["rows"]["end"]["unit"] == "microseconds" and series["rows"]["index_name"] == "date"
    assert group["notices"][0].startswith("column 'level' holds -9999 once (line 6)")
