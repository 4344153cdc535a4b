"""The first signal asks, the second Ctrl-C stops, and handlers are those of before again."""

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from vig_pyg.train.signals import stop_signals

BOTH = (signal.SIGINT, signal.SIGTERM)


def handlers() -> list:
    return [signal.getsignal(number) for number in BOTH]


@pytest.mark.parametrize("number", BOTH)
def test_a_signal_asks_once(number):
    before = handlers()
    with stop_signals() as stop:
        assert not stop.is_set()
        signal.raise_signal(number)
        assert stop.is_set()
        signal.raise_signal(signal.SIGTERM)  # SIGTERM goes on asking
    assert handlers() == before


def test_the_second_ctrl_c_stops_at_once():
    before = handlers()
    with pytest.raises(KeyboardInterrupt), stop_signals():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert handlers() == before


def test_in_another_thread_nothing_is_changed():
    before = handlers()

    def run() -> tuple[bool, list]:
        with stop_signals() as stop:
            return stop.is_set(), handlers()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(run).result() == (False, before)
