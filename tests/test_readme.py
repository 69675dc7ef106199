"""What the README says is so."""

import re
from pathlib import Path

import pytest

from rnnjax import config
from rnnjax.claims import RULES
from rnnjax.lookup import check_names

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
    assert list((ROOT / "rnnjax").rglob(Path(name).name)) or (ROOT / "scripts" / name).exists()


def test_the_example_study_is_one(tmp_path: Path) -> None:
    example = re.search(r"```toml\n(.*?)```", README, re.DOTALL)
    assert example
    path = tmp_path / "example.toml"
    path.write_text(example[1])
    study = config.load(path)
    check_names(study)
    assert len(study.arms) == 6
    assert study.file.claims[0].readings[0].rule in RULES


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*/*.toml")), ids=lambda path: path.stem)
def test_every_config_that_comes_with_rnnjax_is_a_study(path: Path) -> None:
    check_names(config.load(path))


def test_every_option_named_is_one_of_a_script() -> None:
    scripts = "".join(path.read_text() for path in (ROOT / "scripts").glob("*.py"))
    named = set(re.findall(r"(?<![\w-])(--[a-z]+)", README)) - {"--logdir", "--help"}  # of TensorBoard and of argparse
    assert named
    assert {option for option in named if f'"{option}"' not in scripts} == set()
