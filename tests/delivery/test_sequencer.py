from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.sequencer import WAIT_SECONDS, Released, Sequencer
from gateway.errors import InternalError


def started(count: int) -> Sequencer[str]:
    sequencer: Sequencer[str] = Sequencer()
    assert [sequencer.next() for _ in range(count)] == list(range(count))
    return sequencer


def on_time(*numbers: int) -> list[Released[str]]:
    return [Released(number, f"u{number}", late=False) for number in numbers]


def test_what_comes_in_order_goes_at_once() -> None:
    sequencer = started(2)
    assert sequencer.resolve(0, "u0", 0.0) == on_time(0)
    assert sequencer.resolve(1, "u1", 0.0) == on_time(1)
    assert sequencer.pending == 0
    assert sequencer.next_deadline is None


def test_a_later_one_waits_for_its_turn() -> None:
    sequencer = started(3)
    assert sequencer.resolve(2, "u2", 0.0) == []
    assert sequencer.resolve(1, "u1", 0.1) == []
    assert sequencer.pending == 3
    assert sequencer.resolve(0, "u0", 0.2) == on_time(0, 1, 2)
    assert sequencer.pending == 0


def test_nothing_said_takes_its_turn_silently() -> None:
    sequencer = started(3)
    assert sequencer.resolve(1, None, 0.0) == []
    assert sequencer.resolve(2, "u2", 0.0) == []
    assert sequencer.resolve(0, None, 0.0) == on_time(2)


def test_a_missing_one_is_waited_for_from_the_first_later_result_on() -> None:
    sequencer = started(3)
    sequencer.resolve(2, "u2", 10.0)
    sequencer.resolve(1, "u1", 11.0)
    assert sequencer.next_deadline == 10.0 + WAIT_SECONDS
    assert sequencer.expire(10.0 + WAIT_SECONDS - 0.001) == []
    assert sequencer.expire(10.0 + WAIT_SECONDS) == on_time(1, 2)
    assert sequencer.pending == 0
    assert sequencer.resolve(0, "u0", 20.0) == [Released(0, "u0", late=True)]


def test_each_gap_has_its_own_time() -> None:
    sequencer = started(4)
    sequencer.resolve(1, "u1", 10.0)
    sequencer.resolve(3, "u3", 11.0)
    assert sequencer.expire(12.0) == on_time(1)
    assert sequencer.next_deadline == 13.0
    assert sequencer.resolve(2, "u2", 12.5) == on_time(2, 3)


def test_several_missing_ones_are_passed_over_together() -> None:
    sequencer = started(4)
    sequencer.resolve(3, "u3", 0.0)
    assert sequencer.expire(WAIT_SECONDS) == on_time(3)
    assert sequencer.resolve(1, None, 5.0) == []
    assert sequencer.resolve(2, "u2", 5.0) == [Released(2, "u2", late=True)]
    with pytest.raises(InternalError):
        sequencer.resolve(2, "u2", 5.0)


@pytest.mark.parametrize("number", [-1, 0, 1, 2])
def test_a_number_not_owed_is_our_bug(number: int) -> None:
    sequencer = started(2)
    sequencer.resolve(0, "u0", 0.0)
    sequencer.resolve(1, "u1", 0.0)
    with pytest.raises(InternalError, match="never announced, or is resolved twice"):
        sequencer.resolve(number, "again", 0.0)


def test_a_result_that_waits_cannot_be_replaced() -> None:
    sequencer = started(2)
    sequencer.resolve(1, "u1", 0.0)
    with pytest.raises(InternalError):
        sequencer.resolve(1, "again", 0.0)


@given(
    st.lists(st.booleans(), max_size=12).flatmap(
        lambda said: st.tuples(st.just(said), st.permutations(range(len(said))))
    )
)
def test_any_order_in_time_comes_out_in_order(case: tuple[list[bool], list[int]]) -> None:
    said, order = case
    sequencer = started(len(said))
    released = [
        one for number in order for one in sequencer.resolve(number, f"u{number}" if said[number] else None, 0.0)
    ]
    assert released == on_time(*(number for number, spoken in enumerate(said) if spoken))
    assert sequencer.pending == 0


@given(st.permutations(range(8)), st.lists(st.floats(0, 3), min_size=8, max_size=8))
def test_everything_comes_once_and_only_late_ones_out_of_order(order: list[int], gaps: list[float]) -> None:
    sequencer = started(8)
    now = 0.0
    released: list[Released[str]] = []
    for number, gap in zip(order, gaps, strict=True):
        now += gap
        released += sequencer.expire(now)
        released += sequencer.resolve(number, f"u{number}", now)
        deadline = sequencer.next_deadline
        assert deadline is None or deadline >= now
    assert sorted(one.sequence for one in released) == list(range(8))
    punctual = [one.sequence for one in released if not one.late]
    assert punctual == sorted(punctual)
    for position, one in enumerate(released):
        overtaken = any(other.sequence > one.sequence for other in released[:position])
        assert one.late == overtaken
