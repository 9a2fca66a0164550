"""The course of a run in closed forms: phases, epochs, schedules of the learning rate."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toonify.methods.method import Phase, Schedule
from toonify.train.plan import Plan


def plan(schedule: Schedule = "constant", *, first: int = 2, second: int = 10, limit: int | None = None) -> Plan:
    return Plan((Phase("first", first), Phase("second", second)), 3, schedule, limit)


def test_phases_and_epochs_follow_from_the_step() -> None:
    made = plan()
    assert made.steps == 36 and made.epochs == 12
    assert [made.phase(step) for step in (0, 5, 6, 35)] == ["first", "first", "second", "second"]
    assert [made.epoch(step) for step in (0, 2, 3, 35)] == [0, 0, 1, 11]


def test_a_phase_may_be_empty() -> None:
    assert plan(first=0).phase(0) == "second" and plan(first=0).steps == 30


def test_a_limit_cuts_the_run_short_and_not_its_schedule() -> None:
    made = plan("linear", limit=10)
    assert made.steps == 10 and made.epochs == 4
    assert plan(limit=10**9).steps == 36
    assert all(made.rate_factor(step) == plan("linear").rate_factor(step) for step in range(10))


@given(st.integers(0, 35))
def test_constant(step: int) -> None:
    assert plan("constant").rate_factor(step) == 1


@given(st.integers(0, 35))
def test_linear_is_that_of_cyclegan(step: int) -> None:
    # Zhu et al. 2017, section 7.2: 100 epochs at the same rate, then linearly to zero over the next 100.
    into = step - 6
    expected = 1.0 if into < 15 else (30 - into) / 15
    assert plan("linear").rate_factor(step) == pytest.approx(expected, abs=1e-12)


@given(st.integers(0, 35))
def test_cosine(step: int) -> None:
    expected = 1.0 if step < 6 else 0.5 + 0.5 * math.cos(math.pi * (step - 6) / 30)
    assert plan("cosine").rate_factor(step) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_a_schedule_falls_and_never_reaches_zero_before_the_end(schedule: Schedule) -> None:
    factors = [plan(schedule).rate_factor(step) for step in range(36)]
    assert factors[0] == factors[6] == 1 and factors == sorted(factors, reverse=True) and 0 < factors[-1] < 0.1


def test_a_rate_warms_up_to_its_schedule() -> None:
    phases = (Phase("only", 10),)
    warm, cold = (Plan(phases, 3, "cosine", warm_up=steps) for steps in (4, 0))
    shares = [warm.rate_factor(step) / cold.rate_factor(step) for step in range(8)]
    assert shares == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1])
