from __future__ import annotations

import time

import pytest

from gateway.server import life as module
from gateway.server.life import IDLE_S, PONG_S, START_S, UNAUTHENTICATED_S, Life, Verdict


@pytest.mark.parametrize(("known", "limit"), [(False, UNAUTHENTICATED_S), (True, START_S)])
def test_a_start_is_waited_for(known: bool, limit: float) -> None:
    life, now = Life(), time.monotonic()
    assert life.judge(now + limit - 1, known=known, called=False, last_media=None) is Verdict.LIVES
    assert life.judge(now + limit + 1, known=known, called=False, last_media=None) is Verdict.NO_START


def test_silence_is_asked_about_and_an_answer_gives_it_as_long_again() -> None:
    life, now = Life(), time.monotonic()

    def judge(at: float, last_media: float = 0.0) -> Verdict:
        return life.judge(now + at, known=True, called=True, last_media=last_media)

    assert judge(IDLE_S + 1, now + 2) is Verdict.LIVES
    assert judge(IDLE_S + 1) is Verdict.ASK
    assert judge(IDLE_S + PONG_S) is Verdict.LIVES
    life.answer()
    assert judge(IDLE_S + PONG_S + 2) is Verdict.LIVES
    assert judge(2 * IDLE_S + 2) is Verdict.ASK
    assert judge(2 * IDLE_S + PONG_S + 3) is Verdict.SILENT


def test_a_socket_may_linger_for_a_while_after_its_stream() -> None:
    life = Life()
    life.leave()
    now = time.monotonic()
    assert life.judge(now + IDLE_S - 1, known=True, called=True, last_media=None) is Verdict.LIVES
    assert life.judge(now + IDLE_S + 1, known=True, called=True, last_media=None) is Verdict.OVER


def test_our_close_is_to_be_answered_soon_whatever_else_is_missing() -> None:
    life = Life()
    life.close()
    now = time.monotonic()
    assert life.closing
    assert life.judge(now + module.CLOSE_S / 2, known=False, called=False, last_media=None) is Verdict.LIVES
    assert life.judge(now + module.CLOSE_S + 1, known=False, called=False, last_media=None) is Verdict.UNANSWERED
