"""What is set up in other threads comes in order, one ahead of what is in use, and its errors arrive."""

import threading
from collections.abc import Callable

import pytest

from rnnjax.errors import BadInput, Stopped
from rnnjax.studies.group_setup import compiler_threads, one_ahead


def test_jobs_are_begun_one_ahead_and_taken_in_order() -> None:
    begun = [threading.Event() for _ in range(4)]

    def job(number: int) -> Callable[[], int]:
        def work() -> int:
            assert threading.current_thread() is not threading.main_thread()
            begun[number].set()
            return number

        return work

    with compiler_threads() as pool:
        taken = []
        for number in one_ahead(pool, [job(number) for number in range(4)], go_on):
            taken.append(number)
            assert number == 3 or begun[number + 1].wait(60), "the next one is begun while this one is in use"
            assert [one.is_set() for one in begun[number + 2 :]] == [False] * len(begun[number + 2 :])
        assert taken == [0, 1, 2, 3]
        assert list(one_ahead(pool, [], go_on)) == []


def test_an_error_arrives_where_its_result_is_taken() -> None:
    def refused() -> int:
        raise BadInput("no")

    with compiler_threads() as pool:
        results = one_ahead(pool, [lambda: 1, refused], go_on)
        assert next(results) == 1
        with pytest.raises(BadInput, match="^no$"):
            next(results)


def go_on() -> None:
    """Nothing asks to stop."""


def test_a_signal_does_not_wait_for_a_compilation() -> None:
    asked, free = threading.Event(), threading.Event()

    def compile_for_long() -> int:
        asked.set()
        free.wait(60)
        return 1

    def stop() -> None:
        if asked.is_set():
            raise Stopped(2, "")

    try:
        with pytest.raises(Stopped), compiler_threads() as pool:
            next(one_ahead(pool, [compile_for_long], stop))
        assert not free.is_set(), "it came back while the program was still being compiled"
    finally:
        free.set()
