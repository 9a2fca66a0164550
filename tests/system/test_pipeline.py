import gc
import itertools
import signal
import subprocess
import sys
import threading
import time
import weakref
from typing import Any

import pytest

from toonify.system.pipeline import run_parallel, run_stages

PATIENCE = 5  # seconds after which a test counts as hung


@pytest.fixture(autouse=True)
def _no_threads_are_left():
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def double(item: int) -> int:
    return 2 * item


@pytest.mark.parametrize("depth", [1, 5])
@pytest.mark.parametrize("stages", [0, 1, 4])
@pytest.mark.parametrize("count", [0, 1, 50])
def test_every_item_comes_out_once_through_all_stages(count, stages, depth):
    results = run_stages(range(count), [double] * stages, depth=depth)
    assert sorted(results) == [2**stages * item for item in range(count)]


@pytest.mark.parametrize("workers", [[1, 3], [4, 1], [3, 5]])
@pytest.mark.parametrize("count", [0, 1, 2, 100])
def test_several_workers_do_every_item_once_and_keep_the_order(workers, count):
    def dawdle(item: int) -> int:
        time.sleep(0.001 * (item % 3))
        return 2 * item

    results = run_stages(range(count), [dawdle, double], workers=workers)
    assert list(results) == [4 * item for item in range(count)]


def test_the_workers_of_a_stage_work_at_the_same_time():
    meeting = threading.Barrier(3, timeout=PATIENCE)

    def meet(item: int) -> int:
        meeting.wait()
        return item

    assert list(run_stages(range(6), [meet], workers=[3])) == list(range(6))


@pytest.mark.parametrize("workers", [[1, 1], [3, 2]])
def test_an_exception_in_one_of_several_workers_comes_out(workers):
    def fail(item: int) -> int:
        if item == 5:
            raise ValueError("five")
        return item

    with pytest.raises(ValueError, match="five"):
        list(run_stages(range(50), [double, lambda item: fail(item // 2)], workers=workers))


def test_a_single_worker_keeps_the_order():
    assert list(run_stages(range(50), [double, str])) == [str(2 * item) for item in range(50)]


def test_items_that_count_as_false_are_items():
    items: list[Any] = [None, 0, "", [], False]
    assert list(run_stages(items, [lambda item: item])) == items


def test_stages_work_at_the_same_time():
    meeting = threading.Barrier(3, timeout=PATIENCE)

    def meet_with(number: int):
        def function(item: int) -> int:
            if item == number:
                meeting.wait()
            return item

        return function

    # 2 must be in the first stage while 1 is in the second and 0 in the third.
    assert list(run_stages(range(3), [meet_with(number) for number in (2, 1, 0)])) == [0, 1, 2]


@pytest.mark.parametrize("depth", [1, 3])
def test_no_more_items_wait_than_the_depth_allows(depth):
    allowed = depth + 2  # one in the stage, one in the hand of the feeder
    overrun = threading.Event()
    taken = itertools.count(1)

    def items():
        for item in range(20):
            if next(taken) > allowed + len(done):
                overrun.set()
            yield item

    done: list[int] = []

    def work(item: int) -> int:
        if item == 0:
            overrun.wait(0.2)  # time in which a feeder without a limit would run through
        done.append(item)
        return item

    assert list(run_stages(items(), [work], depth=depth)) == list(range(20))
    assert not overrun.is_set()


class BrokenError(Exception):
    pass


def fail_at(number: int):
    def function(item: int) -> int:
        if item == number:
            raise BrokenError(item)
        return item

    return function


@pytest.mark.parametrize("position", [0, 1, 2])
def test_an_exception_in_a_stage_comes_out_and_stops_the_work(position):
    stages = [double for _ in range(3)]
    stages[position] = fail_at(5 * 2**position)
    stopped, fed = [], []

    def items():
        for item in range(1000):
            fed.append(item)
            yield item

    with pytest.raises(BrokenError):
        list(run_stages(items(), stages, on_stop=lambda: stopped.append(True)))
    assert stopped == [True]
    assert len(fed) < 100


def test_an_exception_in_the_items_comes_out():
    def items():
        yield 1
        raise BrokenError

    results = run_stages(items(), [double, double])
    assert next(results) == 4
    with pytest.raises(BrokenError):
        next(results)


def test_an_exit_within_a_stage_comes_out():
    def leave(_item: int) -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        list(run_stages(range(5), [leave]))


def test_closing_early_stops_the_work_and_drops_what_waits():
    started, stopped = [], []

    def work(item: int) -> int:
        started.append(item)
        return item

    results = run_stages(itertools.count(), [work, double], on_stop=lambda: stopped.append(True))
    assert [next(results), next(results)] == [0, 2]
    assert stopped == []
    results.close()
    assert stopped == [True]
    assert len(started) < 20


def test_what_is_under_way_is_finished_when_the_work_is_stopped():
    entered, cancelled, finished = threading.Event(), threading.Event(), []

    def work(item: int) -> int:
        if item == 1:
            entered.set()
            assert cancelled.wait(PATIENCE)
        finished.append(item)
        return item

    results = run_stages(range(100), [work], on_stop=cancelled.set)
    assert next(results) == 0
    assert entered.wait(PATIENCE)
    results.close()
    assert finished == [0, 1]


def test_a_keyboard_interrupt_in_the_loop_over_the_results_ends_the_threads():
    stopped = []
    results = run_stages(itertools.count(), [double], on_stop=lambda: stopped.append(True))
    next(results)
    with pytest.raises(KeyboardInterrupt):
        results.throw(KeyboardInterrupt())
    assert stopped == [True]


def test_a_run_to_the_end_is_no_stop():
    stopped = []
    assert list(run_stages(range(3), [double], on_stop=lambda: stopped.append(True))) == [0, 2, 4]
    assert stopped == []


def test_nothing_starts_before_the_first_result_is_asked_for():
    started: list[Any] = []
    results = run_stages(range(3), [started.append])
    assert started == []
    results.close()
    assert started == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_ends_the_process(presses):
    """Wherever it arrives: in the loop over the results, too, whose traceback would keep the iterator open."""
    program = """
import contextlib, itertools, threading
from toonify.system.pipeline import run_parallel, run_stages

def work(item):
    if item == 2:
        print("working", flush=True)
        release.wait()
    return item

def stop():
    threading.Timer(0.2, release.set).start()
    print("stopping", flush=True)

release = threading.Event()
with contextlib.closing(run_stages(itertools.count(), [work], on_stop=stop)) as items:
    for item in items:
        pass
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        watchdog = threading.Timer(10 * PATIENCE, process.kill)  # a process that hangs would be read from for ever
        watchdog.start()
        try:
            assert process.stdout.readline() == "working\n"
            process.send_signal(signal.SIGINT)
            while (line := process.stdout.readline()) != "stopping\n":
                assert line
            if presses == 2:
                process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) != 0
        finally:
            watchdog.cancel()
            process.kill()


# --- run_parallel ---


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 50])
def test_parallel_results_keep_the_order(count, workers):
    assert list(run_parallel(range(count), double, workers=workers)) == [2 * item for item in range(count)]


def test_workers_work_at_the_same_time():
    meeting = threading.Barrier(3, timeout=PATIENCE)
    assert sorted(run_parallel(range(3), lambda _: meeting.wait(), workers=3)) == [0, 1, 2]


def test_no_more_items_are_taken_than_twice_the_workers():
    taken = []

    def items():
        for item in range(100):
            taken.append(item)
            yield item

    results = run_parallel(items(), double, workers=3)
    next(results)
    assert len(taken) == 6
    results.close()


def test_closing_tells_what_is_under_way_to_stop_and_drops_the_rest():
    stop = threading.Event()
    done = []

    def work(item: int) -> int:
        if item:
            assert stop.wait(PATIENCE)
        done.append(item)
        return item

    results = run_parallel(range(100), work, workers=2, on_stop=stop.set)
    assert next(results) == 0
    results.close()
    assert stop.is_set() and len(done) <= 4


def test_an_error_in_a_worker_comes_out():
    def work(item: int) -> int:
        if item == 5:
            raise KeyError("five")
        return item

    results = run_parallel(range(10), work, workers=2)
    assert [next(results) for _ in range(5)] == list(range(5))
    with pytest.raises(KeyError, match="five"):
        next(results)


def test_an_error_that_is_dealt_with_holds_nothing_any_more() -> None:
    """A network that has run out of memory must not live on in a circle of error and frames."""

    class Held:
        pass

    taken: list[weakref.ref[Held]] = []

    def fail(item: int) -> int:
        held = Held()
        taken.append(weakref.ref(held))
        raise MemoryError

    gc.disable()
    try:
        with pytest.raises(MemoryError):
            list(run_stages(range(5), [lambda item: item, fail]))
        assert taken and all(each() is None for each in taken)
    finally:
        gc.enable()
