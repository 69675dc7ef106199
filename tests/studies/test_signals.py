"""Signals: remembered until the state can be saved, and left alone where the caller has them ignored."""

import os
import signal
from collections.abc import Iterator

import pytest

from rnnjax.studies.signals import Interruption


@pytest.fixture
def hangup() -> Iterator[None]:
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hangup")
def test_an_ignored_signal_stays_ignored() -> None:
    """`nohup` asks for that: a study goes on when the terminal is closed."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGHUP)
        assert interruption.number == 0
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.usefixtures("hangup")
def test_a_signal_is_remembered_and_its_handler_comes_back() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    with Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGHUP)
        assert interruption.number == signal.SIGHUP
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
