"""The check of a GPU: its budget, its guard, its file and its comparisons; and two of its sections on this CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.gpu import agreement, bits, check, process, profiling, report, resume, training, widths
from benchmarks.gpu.bits import Trace
from benchmarks.gpu.profiling import Event
from rnnjax.errors import BadInput

ROOT = Path(__file__).parents[2]


def fail() -> None:
    raise ValueError("two\nlines")


def test_a_failure_is_recorded_and_the_rest_goes_on() -> None:
    found = report.within_budget([("one", fail), ("two", lambda: {"x": 1})], end=1, clock=lambda: 0)
    section = report.section_figures(found)
    assert section["figures"] == {"one": {"error": "ValueError: two lines"}, "two": {"x": 1}}
    assert section["failed"] == ["one"] and section["left_out"] == []


def test_no_measurement_begins_after_the_end() -> None:
    now = [0.0]

    def take() -> str:
        now[0] += 2
        return "taken"

    found = list(report.within_budget([(name, take) for name in "abc"], end=3, clock=lambda: now[0]))
    assert found == [("a", "taken"), ("b", "taken"), ("c", None)]
    assert report.section_figures(found)["left_out"] == ["c"] and now[0] == 4


@pytest.mark.parametrize("value", [{"error": "x"}, {"ok": False}, {"ok": True}, {"loss": 1}, 3])
def test_an_error_and_a_check_that_did_not_pass_are_failures(value: Any) -> None:
    assert report.failed(value) == (value in ({"error": "x"}, {"ok": False}))


def test_a_report_has_failed_where_a_section_or_a_measurement_has() -> None:
    sections = {"a": {"failed": []}, "b": {"failed": ["x"]}, "c": {"failed": [], "error": "killed"}}
    assert report.failed_sections({"sections": sections}) == ["b", "c"]


def test_sections_are_merged_at_any_depth() -> None:
    old = {"quick": True, "sections": {"a": {"seconds": 1, "failed": ["x"]}, "b": {}}}
    new = {"sections": {"a": {"failed": [], "error": "e"}, "c": {}}}
    assert report.merged(old, new) == {
        "quick": True,
        "sections": {"a": {"seconds": 1, "failed": [], "error": "e"}, "b": {}, "c": {}},
    }


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "gpu.json"
    report.merge_section(file, "a", {"loss": float("nan"), "list": [1, float("inf")]})
    assert json.loads(file.read_text()) == {"sections": {"a": {"loss": "nan", "list": [1, "inf"]}}}
    before = file.read_text()
    with file.open() as reader:  # one that reads while the file is written has the old one, whole
        report.merge_section(file, "a", {"loss": 1})
        assert reader.read() == before
    before = file.read_text()
    with pytest.raises(TypeError):
        report.merge_section(file, "b", {"x": object()})
    assert file.read_text() == before and [path.name for path in tmp_path.iterdir()] == ["gpu.json"]


def test_the_budgets_add_up_and_fit() -> None:
    assert sum(check.BUDGETS.values()) <= check.TOTAL_SECONDS <= 8 * 60
    ends = check.section_ends(["machine", "bits"], 10.0)
    assert ends == {"machine": 35.0, "bits": 135.0}


def test_a_section_that_does_not_exist_is_refused() -> None:
    assert check.asked_sections("bits, machine") == ["machine", "bits"]
    for only in ("bits,speed", ""):
        with pytest.raises(BadInput, match="--only"):
            check.asked_sections(only)


def test_a_process_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match="killed"):
        process.wait([sys.executable, "-c", "import time; time.sleep(60)"], dict(os.environ), 1, tmp_path / "log")


def test_a_process_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"exit code 1: .*ValueError: why"):
        process.wait([sys.executable, "-c", "raise ValueError('why')"], dict(os.environ), 30, tmp_path / "log")


ONE = Trace("digest", [1.0, 2.0, 3.0])


def test_equal_traces_have_no_difference() -> None:
    assert bits.comparison(ONE, {"same": lambda: Trace("digest", [1.0, 2.0, 3.0])})["ok"]


@pytest.mark.parametrize(
    ("other", "step"), [(Trace("other", ONE.losses), None), (ONE._replace(losses=[1.0, 2.5, 3.5]), 1)]
)
def test_a_difference_is_named(other: Trace, step: int | None) -> None:
    found = bits.comparison(ONE, {"same": lambda: ONE, "other": lambda: other})
    assert not found["ok"] and list(found["differs"]) == ["other"] and found["compared"] == ["same", "other"]
    assert found["differs"]["other"]["first_step"] == step


def test_chunks_add_up() -> None:
    assert bits.chunk_lengths(60, 1) == [60]
    assert sum(bits.chunk_lengths(60, 7)) == 60 and len(set(bits.chunk_lengths(60, 7))) > 3


def test_a_digest_sees_every_bit_and_name() -> None:
    leaf = np.float32([0.0, 1.0])
    digests = [training.state_digest(tree) for tree in ({"a": leaf}, {"a": -leaf * 0 + leaf}, {"b": leaf})]
    assert digests[0] == digests[1] != digests[2]
    assert digests[0] != training.state_digest({"a": np.float32([-0.0, 1.0])})


def test_differences_are_relative_to_the_cpu() -> None:
    expected = {"losses": [[2.0, 4.0]], "parameters": {"0": [{"w": [4.0, 0.0]}], "2": [{"w": [4.0, 0.0]}]}}
    found = {"losses": [[2.0, 5.0]], "parameters": {"0": [{"w": [4.0, 0.0]}], "2": [{"w": [4.0, 1.0]}]}}
    table = agreement.differences(found, expected, (0, 2))
    assert table == {"0": {"loss": 0.0, "parameters": 0.0}, "2": {"loss": 0.25, "parameters": 0.25}}


def test_the_best_width() -> None:
    assert widths.ranked({8: 3.0, 16: 2.0, 32: 4.0}, chosen=8)["chosen_over_best"] == 1.5
    assert widths.ranked({16: 2.0, 32: 1.0}, chosen=8) == {
        "best": 32,
        "microseconds": {16: 2.0, 32: 1.0},
        "chosen_over_best": None,
    }


def test_kernels_are_ranked_and_gaps_measured() -> None:
    events = [Event("b", 4000, 1000), Event("a", 0, 1000), Event("a", 500, 1500), Event("b", 9000, 2000)]
    table = profiling.kernel_table(events, steps=2)
    assert [(row["name"], row["calls"], row["microseconds"]) for row in table["top"]] == [("b", 2, 3.0), ("a", 2, 2.5)]
    assert table["kernels_per_step"] == 2 and table["span_microseconds"] == 11
    assert table["idle_share"] == pytest.approx(6 / 11) and table["longest_gap_microseconds"] == 4


def test_the_kernels_are_those_of_the_first_gpu() -> None:
    kernel, host = [Event("k", 0, 1)], [Event("h", 0, 1)]
    lines = [("/host:CPU", "tf_XLA/1", host), ("/device:GPU:0", "Stream #1(Compute)", kernel)]
    assert profiling.kernel_events(lines) == kernel
    assert profiling.kernel_events(lines[:1]) == host
    assert profiling.kernel_events([("/device:GPU:0", "XLA Modules", host)]) == []


def test_the_newest_checkpoint_is_found(tmp_path: Path) -> None:
    for name in ("group-0/50", "group-0/500", "group-1/7", "group-1/draft"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    assert resume.saved_steps(tmp_path) == [7, 50, 500]


@pytest.mark.slow
@pytest.mark.exhaustive
def test_two_sections_on_a_cpu(tmp_path: Path) -> None:
    file = tmp_path / "gpu.json"
    command = [sys.executable, "scripts/gpu_check.py", "--quick", "--only", "machine,bits", "--json", str(file)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    found = json.loads(file.read_text())
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert list(found["sections"]) == ["machine", "bits"] and found["quick"] is True
    assert found["sections"]["machine"]["figures"]["device"]["platform"] == "cpu"
    assert found["sections"]["bits"]["figures"]["elman in one process"]["ok"] is True
    assert all(section["seconds"] > 0 and not section["failed"] for section in found["sections"].values())
