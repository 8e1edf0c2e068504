"""Every side of a contest does the same work, and one that does not is named."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarks.kernels.cases import LIBRARY, OURS, TWIN, Contest, contests, differing

CONTESTS = contests()


@pytest.mark.parametrize("contest", CONTESTS, ids=[contest.kernel for contest in CONTESTS])
def test_all_sides_give_the_same(contest: Contest) -> None:
    kinds = [side.kind for side in contest.sides]
    assert kinds[:2] == [OURS, TWIN]
    assert set(kinds[2:]) <= {LIBRARY}
    assert differing(contest) == []
    # Once more: a call leaves nothing behind that the next one sees.
    assert differing(contest) == []


def test_a_side_that_does_something_else_is_named() -> None:
    contest = next(contest for contest in CONTESTS if contest.kernel == "base64")
    wrong = dataclasses.replace(contest.sides[2], run=lambda text: text)
    assert differing(dataclasses.replace(contest, sides=(*contest.sides[:2], wrong))) == [wrong.name]
