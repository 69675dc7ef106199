"""Simple forecasts of the next row of a sequence, against loops; and sequences that do not fit into memory."""

import numpy as np
import pytest

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.studies.datasets import check_rows_fit
from rnnjax.tasks.sequences.arrays import raw_from_lists
from rnnjax.tasks.sequences.layout import row_bytes
from rnnjax.tasks.sequences.levels import ORDER, next_row_levels
from rnnjax.tasks.sequences.task import sequences_task
from rnnjax.types import SequenceParts, SequenceSet

SETTINGS = TaskSpec(name="sequences", path="x.npz", predict="next", standardise="none", validation=0.25)


def parts_of(x: list[np.ndarray], **fields: object) -> SequenceParts:
    parts = sequences_task(TaskSpec(**{**vars(SETTINGS), **fields}), raw_from_lists(x)).sequences
    assert parts is not None
    return parts


def waves(count: int = 12, period: int = 6) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    phases = rng.uniform(0, 7, (count, 2))
    steps = [np.arange(20 + 3 * n)[:, None] for n in range(count)]
    noise = [0.1 * rng.normal(size=(len(t), 2)) for t in steps]
    return [np.sin(2 * np.pi * t / period + phase) + rest for t, phase, rest in zip(steps, phases, noise, strict=True)]


def whole(part: SequenceSet) -> list[np.ndarray]:
    """Each sequence with its last row."""
    cut = part.offsets_N[1:-1]
    return [
        np.vstack([x, y[-1:]]) for x, y in zip(np.split(part.inputs_R, cut), np.split(part.targets_R, cut), strict=True)
    ]


def past(one: np.ndarray, t: int) -> np.ndarray:
    """1 and the last rows up to t; the first one again before it."""
    return np.concatenate([[1.0], *[one[max(t - k, 0)] if t >= k else one[0] for k in range(ORDER)]])


def test_forecasts_are_those_of_loops() -> None:
    parts = parts_of(waves())
    found = next_row_levels(parts.train, parts.validation)
    assert found.keys() == {"last", "linear", "seasonal"}
    train, held_out = whole(parts.train), whole(parts.validation)
    rows = [(past(one, t), one[t + 1]) for one in train for t in range(len(one) - 1)]
    weights = np.linalg.lstsq(*map(np.array, zip(*rows, strict=True)))[0]
    linear = [past(one, t) @ weights for one in held_out for t in range(len(one) - 1)]
    np.testing.assert_allclose(found["linear"], linear, atol=1e-5)
    seasonal = [one[t - 5] if t >= 5 else one[t] for one in held_out for t in range(len(one) - 1)]
    np.testing.assert_array_equal(found["seasonal"], seasonal)


def test_they_are_reference_losses_in_own_units() -> None:
    task = sequences_task(TaskSpec(**{**vars(SETTINGS), "standardise": "all"}), raw_from_lists(waves()))
    own = parts_of(waves())
    for name, level in {"persistence": "last", "linear": "linear", "seasonal": "seasonal"}.items():
        error = np.mean((next_row_levels(own.train, own.validation)[level] - own.validation.targets_R) ** 2)
        assert task.reference_losses[name] == pytest.approx(error, rel=1e-5)
    assert task.reference_losses["linear"] < task.reference_losses["seasonal"] < task.reference_losses["persistence"]


def test_noise_has_no_season() -> None:
    rng = np.random.default_rng(1)
    parts = parts_of([rng.normal(size=(30, 1)) for _ in range(12)])
    assert "seasonal" not in next_row_levels(parts.train, parts.validation)


@pytest.mark.parametrize("layout", ["padded", "packed"])
def test_rows_that_do_not_fit_are_refused_in_one_line(layout: str) -> None:
    """Of 12 sequences, 20 to 53 rows long, the last 3 are held out; two inputs, two targets, a loss mask, a flag."""
    keys = {"split": ["train"] * 9 + ["test"] * 3}
    settings = TaskSpec(**{**vars(SETTINGS), "split": "given", "batches": layout})
    parts = sequences_task(settings, raw_from_lists(waves(), **keys)).sequences
    assert parts is not None
    longest = parts.lengths[-1]
    assert longest == 52
    size = 4 * 2 + 4 * 2 + 4 + 1
    rows = 9 * longest if layout == "padded" else sum(19 + 3 * n for n in range(9))
    assert row_bytes(parts) == size * (rows + 3 * longest)
    check_rows_fit(settings, parts, row_bytes(parts))
    with pytest.raises(
        BadInput, match=f"task.batches: got '{layout}' for 12 sequences of up to 52 steps; needs"
    ) as told:
        check_rows_fit(settings, parts, row_bytes(parts) - 1)
    assert ("task.batches=packed, or" in str(told.value)) == (layout == "padded") and "\n" not in str(told.value)
