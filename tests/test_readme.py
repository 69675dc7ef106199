"""What the README says is so."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnjax.analysis.rules import RULES
from rnnjax.config import load as config
from rnnjax.networks.cells import CELLS
from rnnjax.networks.initial_states import INITIAL_STATES
from rnnjax.probes import PROBES
from rnnjax.settings import HParams, Spec
from rnnjax.studies.validation import check_names
from rnnjax.tasks import TASKS
from rnnjax.tasks.windows import cut_windows, next_step
from rnnjax.training import parallel as sweep
from rnnjax.training.optimizers import OPTIMIZERS
from rnnjax.training.schedules import SAMPLING_SCHEDULES, SCHEDULES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_set_up_is_two_command_lines() -> None:
    assert "pip install -e . && python scripts/study.py configs/studies/init.toml --seeds 8 --steps 5000" in README
    assert "pip install -e '.[test]' && pytest" in README


@pytest.mark.parametrize("path", sorted(set(re.findall(r"(?:scripts|configs|results|rnnjax)/[\w./-]+\w", README))))
def test_every_path_named_is_there(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([a-z_/]+\.py)`", README))))
def test_every_module_named_is_there(name: str) -> None:
    assert any((ROOT / place / name).exists() for place in ("rnnjax", "."))


def test_the_example_study_is_one(tmp_path: Path) -> None:
    example = re.search(r"```toml\n(.*?)```", README, re.DOTALL)
    assert example
    path = tmp_path / "example.toml"
    path.write_text(example[1])
    study = config.load_study(path)
    check_names(study)
    assert len(study.arms) == 6
    assert study.file.claims[0].criteria[0].rule in RULES


def test_the_python_examples_run() -> None:
    """All of them, one after the other, as a reader would type them."""
    known: dict[str, Any] = {}
    try:
        for example in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
            exec(example, known)
        assert known["h"].shape == (4, 10, 64)
        assert known["found"].findings[0].name == "last_step"
        assert known["gate"]({}, 0.5, 0.25, 0.25) == pytest.approx(np.tanh(0.5))
        runs = [
            sweep.Run(0, Spec(cell="decay", hidden=8, inputs=3, outputs=3, window=4), HParams(seed=s)) for s in (0, 1)
        ]
        ids = np.random.default_rng(0).integers(3, size=50, dtype=np.int32)
        program = sweep.compile_program(runs, cut_windows(next_step(ids), 1, 4), rows=4)
        _, record = program.advance(program.blocks.scatter(sweep.init_states(runs)), 100)
        assert np.isfinite(record.loss).all()
    finally:
        CELLS.pop("decay", None)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*/*.toml")), ids=lambda path: path.stem)
def test_every_config_that_comes_with_rnnjax_is_a_study(path: Path) -> None:
    check_names(config.load_study(path))


@pytest.mark.parametrize(
    ("field", "table"),
    [
        ("cell", CELLS),
        ("initial_state", INITIAL_STATES),
        ("optimizer", OPTIMIZERS),
        ("schedule", SCHEDULES),
        ("sampling_schedule", SAMPLING_SCHEDULES),
        ("task.name", TASKS),
        ("probes", PROBES),
    ],
)
def test_the_names_that_can_be_set_are_those_of_the_code(field: str, table: Iterable[str]) -> None:
    line = re.search(rf"^\| `?{field}`? \| (.*) \|$", README, re.MULTILINE)
    assert line
    assert set(table) <= set(re.findall(r"[a-z_]+", line[1]))


def test_the_rules_are_those_of_the_code() -> None:
    listed = re.search(r"The rules: (.*?);", README, re.DOTALL)
    assert listed and set(re.findall(r"[a-z_]+", listed[1])) == set(RULES)


def test_the_speeds_are_those_of_the_benchmark() -> None:
    """Row by row: three digits of each contender's median, and the share of the peak."""
    found = json.loads((ROOT / "results" / "bench" / "quick.json").read_text())["timings"]
    table = re.findall(r"^\| (\w+), H = (\d+), batch (\d+) \| (.*) \|$", README, re.MULTILINE)
    assert len(table) == 4
    for cell, hidden, batch, cells in table:
        rows = {
            row["contender"]: row
            for row in found
            if (row["cell"], row["hidden"], row["batch"]) == (cell.lower(), int(hidden), int(batch))
        }
        times = [rows[name]["microseconds"] for name in ("rnnjax", "plain_vmap", "flax", "torch", "torch_bmm")]
        shown = [f"{time:,.1f}" if time < 100 else f"{time:,.0f}" for time in times]
        share = f"{rows['rnnjax']['share_of_peak']:.0%}"
        assert cells.split(" | ") == [shown[0], share, *shown[1:]]


def test_every_option_named_is_one_of_a_script() -> None:
    files = [*(ROOT / "scripts").rglob("*.py"), *(ROOT / "rnnjax" / "cli").glob("*.py")]
    scripts = "".join(path.read_text() for path in files)
    named = set(re.findall(r"(?<![\w-])(--[a-z]+(?:-[a-z]+)*)", README)) - {
        "--logdir",
        "--help",
    }  # of TensorBoard and of argparse
    assert named
    assert {option for option in named if f'"{option}"' not in scripts} == set()
