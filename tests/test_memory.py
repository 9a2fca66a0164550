import threading

import pytest

from toonify.memory import Allowance

PATIENCE = 5  # seconds after which a test counts as hung


def test_what_fits_is_let_through_and_the_rest_waits() -> None:
    allowance = Allowance(10)
    allowance.take(4)
    allowance.take(6)
    through = threading.Event()

    def take_more() -> None:
        allowance.take(5)
        through.set()

    thread = threading.Thread(target=take_more)
    thread.start()
    assert not through.wait(0.1)
    allowance.give_back(4)
    assert not through.wait(0.1)  # 6 + 5 are still too much
    allowance.give_back(6)
    assert through.wait(PATIENCE)
    thread.join()


def test_what_is_larger_than_all_goes_alone() -> None:
    allowance = Allowance(10)
    allowance.take(1000)
    allowance.give_back(1000)
    allowance.take(10)


def test_closing_ends_all_waiting() -> None:
    allowance = Allowance(1)
    allowance.take(1)
    ended = threading.Event()

    def wait() -> None:
        with pytest.raises(InterruptedError):
            allowance.take(1)
        ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    allowance.close()
    assert ended.wait(PATIENCE)
    thread.join()
    with pytest.raises(InterruptedError):
        allowance.take(1)
