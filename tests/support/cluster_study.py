"""A study trained without workers, to compare with what workers train."""

from pathlib import Path

from rnnjax.config.load import load_study
from rnnjax.studies.run import run_study


def train_plainly(folder: Path, study: str) -> Path:
    """Train a study in this process. Args: study: its TOML, which is written beside it. Returns: its run folder."""
    (folder / "s.toml").write_text(study)
    run_study(load_study(folder / "s.toml"), folder / "plain", progress="none", handle_signals=False)
    return folder / "plain"
