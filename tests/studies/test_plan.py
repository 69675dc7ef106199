"""When a run is looked at and saved: what holds for every length of training."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from rnnjax.studies.plan import next_stop, probe_points, regular_points

counts = st.integers(2, 200)
lengths = st.integers(1, 10**6)
rows = st.integers(1, 5_000)


@given(counts, lengths, rows)
def test_probe_points_are_the_ends_and_whole_rows_between(count: int, steps: int, log_every: int) -> None:
    points = probe_points(count, steps, log_every)
    assert points == sorted(set(points))
    assert (points[0], points[-1]) == (0, steps)
    assert len(points) <= count
    assert all(point % log_every == 0 for point in points[1:-1])
    assert all(type(point) is int for point in points), "a NumPy integer is no JSON"


@given(counts, lengths, rows)
def test_probe_points_are_spaced_by_a_factor(count: int, steps: int, log_every: int) -> None:
    """Each is about `ratio` times the one before; half a row of rounding at either side."""
    points = probe_points(count, steps, log_every)
    ratio = (steps / min(log_every, steps)) ** (1 / max(count - 2, 1))
    for before, after in itertools.pairwise(points[1:]):
        assert after <= ratio * (before + log_every / 2) + log_every


def test_probe_points_by_hand() -> None:
    assert probe_points(2, 1_000, 25) == [0, 1_000]
    assert probe_points(4, 10_000, 100) == [0, 100, 1_000, 10_000]
    assert probe_points(6, 10_000, 1) == [0, 1, 10, 100, 1_000, 10_000]
    assert probe_points(50, 10, 25) == [0, 10]


def test_probe_points_that_are_named_are_rounded_up_to_whole_rows() -> None:
    assert probe_points([0, 7, 8, 21, 500], 100, 7) == [0, 7, 14, 21, 100]
    assert probe_points([5], 100, 7) == [7]


@given(st.integers(1, 10**6), lengths, rows)
@settings(max_examples=50)
def test_regular_points_leave_no_gap(every: int, steps: int, log_every: int) -> None:
    if steps // every > 10_000:
        return
    points = regular_points(every, steps, log_every)
    assert points == sorted(set(points))
    assert points[-1] == steps
    assert all(point % log_every == 0 for point in points[:-1])
    gaps = {after - before for before, after in zip([0, *points], points, strict=False)}
    assert max(gaps) < every + log_every


def test_regular_points_by_hand() -> None:
    assert regular_points(300, 1_000, 100) == [300, 600, 900, 1_000]
    assert regular_points(250, 1_000, 100) == [300, 600, 900, 1_000]
    assert regular_points(500, 1_000, 100) == [500, 1_000]
    assert regular_points(100, 1_000, 25) == [*range(100, 1_001, 100)]
    assert regular_points(5_000, 1_000, 25) == [1_000]


@given(st.sets(st.integers(1, 10_000), min_size=1, max_size=30), st.integers(1, 500))
def test_the_stops_cut_training_into_chunks(stops: set[int], longest: int) -> None:
    """Every stop is stopped at, in order, in chunks of 1 to `longest` steps, and training ends at the last one."""
    listed, step, visited = sorted(stops), 0, []
    while step < listed[-1]:
        end = next_stop(step, listed, longest)
        assert step < end <= step + longest
        visited.append(end)
        step = end
    assert stops <= set(visited)
    assert step == listed[-1]
    assert len(visited) <= len(stops) + listed[-1] // longest


@given(st.integers(0, 10_000), st.permutations([3, 70, 500, 10_001]), st.integers(1, 20_000))
def test_the_order_of_the_stops_does_not_matter(step: int, stops: list[int], longest: int) -> None:
    assert next_stop(step, stops, longest) == next_stop(step, sorted(stops), longest)
