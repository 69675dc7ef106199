"""The README: set-up, examples and options."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnjax.config.load import load_study
from rnnjax.networks.cells import CELLS
from rnnjax.settings import HParams, Spec
from rnnjax.studies.validation import check_names
from rnnjax.tasks.windows import cut_windows, next_step
from rnnjax.training import parallel

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_set_up_is_two_command_lines() -> None:
    assert "pip install -e . && python scripts/study.py configs/studies/init.toml --seeds 8 --steps 5000" in README
    assert "pip install -e '.[test]' && pytest" in README


def test_the_example_study_has_six_arms(tmp_path: Path) -> None:
    example = re.search(r"```toml\n(.*?)```", README, re.DOTALL)
    assert example
    path = tmp_path / "example.toml"
    path.write_text(example[1])
    assert len(load_study(path).arms) == 6


@pytest.mark.slow
def test_the_python_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, one after the other, in a folder that has the configs."""
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / "notes.md").write_text("The quick brown fox jumps over the lazy dog.\n" * 20)
    monkeypatch.chdir(tmp_path)
    known: dict[str, Any] = {}
    try:
        for example in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
            exec(example, known)
        assert known["run"].record.loss.shape == (8, 2) and np.isfinite(known["run"].record.loss).all()
        assert known["curves"].shape == (1, 2, 2) and len(known["table"]) == 2
        assert known["network"].seed == 43 and known["network"].spec.hidden == 16
        assert known["diagnosis"].findings[0].name == "last_step"
        assert known["h"].shape == (4, 10, 32)
        train_briefly("my_cell")
    finally:
        CELLS.pop("my_cell", None)


def train_briefly(cell: str) -> None:
    """Two runs of a cell for 100 steps; their losses are finite."""
    specs = Spec(cell=cell, hidden=8, inputs=3, outputs=3, window=4)
    runs = [parallel.Run(0, specs, HParams(seed=seed)) for seed in (0, 1)]
    ids = np.random.default_rng(0).integers(3, size=50, dtype=np.int32)
    program = parallel.compile_program(runs, cut_windows(next_step(ids), 1, 4), rows=4)
    _, record = program.advance(program.blocks.scatter(parallel.init_states(runs)), 100)
    assert np.isfinite(record.loss).all()


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*/*.toml")), ids=lambda path: path.stem)
def test_every_config_that_comes_with_rnnjax_is_a_study(path: Path) -> None:
    check_names(load_study(path))


@pytest.mark.parametrize(
    "path", ["README.md", "docs/index.md", "docs/training.md", "docs/studies.md", "docs/troubleshooting.md"]
)
def test_every_option_named_is_one_of_a_command(path: str) -> None:
    files = [*(ROOT / "scripts").rglob("*.py"), *(ROOT / "rnnjax" / "cli").glob("*.py")]
    source = "".join(file.read_text() for file in files)
    of_others = {"--logdir", "--help"}  # of TensorBoard and of argparse
    named = set(re.findall(r"(?<![\w<-])(--[a-z]+(?:-[a-z]+)*)", (ROOT / path).read_text())) - of_others
    assert named
    assert {option for option in named if f'"{option}"' not in source} == set()
