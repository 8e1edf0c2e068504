from __future__ import annotations

import pytest

from gateway.server.rhythm import EASY_S, FEW_SOCKETS, LONGEST_S, REST_SHARE, Rhythm

TICK_S = 0.02
MANY = FEW_SOCKETS + 1


def settled(cost: float, sockets: int = MANY, slices: int = 1, rounds: int = 50) -> tuple[Rhythm, float]:
    """A rhythm whose rounds cost so much, and when its next round is due."""
    rhythm = Rhythm(TICK_S)
    due = 100.0
    rhythm.begin(due)
    for _ in range(rounds):
        for number in range(slices):
            share = cost / slices
            due = rhythm.done(due + share, share, share, sockets, over=number == slices - 1)
    return rhythm, due


@pytest.mark.parametrize(
    ("sockets", "cost", "period"),
    [
        (1, 0.0002, TICK_S / 2),
        (FEW_SOCKETS, 0.0009, TICK_S / 2),
        (MANY, 0.0009, TICK_S),
        (MANY, 0.003, 0.03),
        (1000, 0.008, EASY_S),
        (3000, 0.02, EASY_S),
        (3000, 0.04, 0.08),
        (5000, 0.3, LONGEST_S),
    ],
)
def test_the_period_follows_what_a_round_costs(sockets: int, cost: float, period: float) -> None:
    rhythm, _ = settled(cost, sockets)
    assert rhythm.period == pytest.approx(period)
    assert rhythm.cost == pytest.approx(cost)


@pytest.mark.parametrize(("tick_s", "cost", "period"), [(0.1, 0.02, 0.1), (0.1, 0.3, 0.1), (0.06, 0.02, 0.06)])
def test_a_configured_period_is_never_cut_short(tick_s: float, cost: float, period: float) -> None:
    rhythm = Rhythm(tick_s)
    rhythm.done(1.0 + cost, cost, cost, MANY, over=True)
    assert rhythm.period == pytest.approx(period)


def test_one_dear_round_changes_little() -> None:
    rhythm, due = settled(0.001)
    rhythm.done(due + 0.01, 0.01, 0.01, MANY, over=True)
    assert rhythm.period < 0.03


def test_rounds_begin_on_a_grid() -> None:
    rhythm = Rhythm(TICK_S)
    rhythm.begin(5.0)
    dues = [rhythm.done(5.0 + TICK_S * number + late, 0.001, 0.001, MANY, over=True) for number, late in enumerate([
        0.001, 0.004, 0.002, 0.0011,
    ])]  # fmt: skip
    assert dues == pytest.approx([5.02, 5.04, 5.06, 5.08])


def test_after_a_stall_the_grid_begins_anew() -> None:
    """What was missed is not caught up with, round upon round: one round reads all that has come."""
    rhythm = Rhythm(TICK_S)
    rhythm.begin(5.0)
    assert rhythm.done(6.0, 0.001, 0.001, MANY, over=True) == pytest.approx(6.0, abs=0.001)
    assert rhythm.done(6.002, 0.001, 0.001, MANY, over=True) == pytest.approx(6.02, abs=0.001)


def test_slices_are_spread_over_the_period() -> None:
    rhythm, began = settled(0.016, 2000, slices=4)
    period = rhythm.period
    assert period == EASY_S
    dues = [
        rhythm.done(began + period * number / 4 + 0.004, 0.004, 0.004, 2000, over=number == 3) for number in range(4)
    ]
    assert dues == pytest.approx([began + period * part / 4 for part in (1, 2, 3, 4)])


def test_more_slices_than_before_follow_after_a_rest() -> None:
    rhythm, began = settled(0.004)
    now = began
    for _ in range(5):
        now += 0.004
        due = rhythm.done(now, 0.004, 0.004, MANY, over=False)
        assert due == pytest.approx(now + 0.004 * REST_SHARE)
        now = due


def test_there_is_a_rest_after_each_slice_however_much_there_is_to_read() -> None:
    rhythm, due = settled(0.4, 5000, slices=40, rounds=5)
    for number in range(40):
        now = due + 0.01
        due = rhythm.done(now, 0.01, 0.01, 5000, over=number == 39)
        assert due >= now + 0.01 * REST_SHARE


def test_a_plane_that_sleeps_begins_with_a_round_of_its_own() -> None:
    rhythm, _ = settled(0.001)
    rhythm.begin(500.0)
    assert rhythm.done(500.001, 0.001, 0.001, MANY, over=True) == pytest.approx(500.02)
