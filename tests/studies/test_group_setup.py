"""What is set up in other threads comes in order, one ahead of what is in use, and its errors arrive."""

import threading
from collections.abc import Callable

import pytest

from rnnjax.errors import BadInput
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
        for number in one_ahead(pool, [job(number) for number in range(4)]):
            taken.append(number)
            assert number == 3 or begun[number + 1].wait(60), "the next one is begun while this one is in use"
            assert [one.is_set() for one in begun[number + 2 :]] == [False] * len(begun[number + 2 :])
        assert taken == [0, 1, 2, 3]
        assert list(one_ahead(pool, [])) == []


def test_an_error_arrives_where_its_result_is_taken() -> None:
    def refused() -> int:
        raise BadInput("no")

    with compiler_threads() as pool:
        results = one_ahead(pool, [lambda: 1, refused])
        assert next(results) == 1
        with pytest.raises(BadInput, match="^no$"):
            next(results)
