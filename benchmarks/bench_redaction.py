"""How much of spoken secrets is hidden, and how much else, beside Microsoft Presidio?

    python -m benchmarks.bench_redaction [--half development|heldout] [--misses] [--peers presidio] [--speech DIR]
                                         [--no-speech] [--json] [--keep]

Utterances of ``benchmarks/labelled/redaction`` go through the redactor, each dialogue as a call: with every entity on,
and with the default policy; as they were recognised, and written out by the formatter as the pipeline does before it
redacts. A secret counts as hidden if every digit, or every word of other text, was hidden when it
was posted (``stored``: or was hidden later, by what followed). Precision of an entity: the share of spans hidden in
its name that are labelled as anything secret; of all: the share of hidden letters and digits. Presidio is stateless: it
gets each utterance, as it is and with number words as digits.

Then the recognizer: spoken digits of ``--speech``, joined to numbers, after a turn that asks for them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import peers
from benchmarks.audio.files import SPEECH
from benchmarks.machine import machine
from benchmarks.text import redaction_speech
from benchmarks.text.redaction import FOLDER, Dialogue, Miss, read, utterances
from benchmarks.text.redaction_forms import written
from benchmarks.text.redaction_run import EVERYTHING, PRESIDIO, Run, gateway, presidio
from gateway.errors import GatewayError, PeerError
from gateway.text.policy import DEFAULT, Entity

__all__ = ["HALVES", "main", "table"]

HALVES = ("development", "heldout")
RESULTS = Path(__file__).parent / "results" / "redaction.json"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def table(name: str, summary: Mapping[str, Any]) -> str:
    """A redactor's figures for a terminal, in %."""
    lines = [f"{name:<26}{'labelled':>9}{'recall':>8}{'stored':>8}{'shown':>7}{'spans':>7}{'precision':>11}"]
    for entity, one in summary["entities"].items():
        shares = (
            f"{_percent(one['recall']):>8}{_percent(one['recall_stored']):>8}{_percent(one['characters_shown']):>7}"
        )
        lines.append(f"{entity:<26}{one['labelled']:9}{shares}{one['spans']:7}{_percent(one['precision']):>11}")
    lines.append(
        f"precision of letters and digits {_percent(summary['precision_characters'])}, "
        f"{summary['negatives']} negatives, {_percent(summary['negatives_clear'])} shown whole; ms an utterance: "
        + ", ".join(f"{key} {value:.3f}" for key, value in summary["ms"].items())
    )
    return "\n".join(lines)


def _misses(half: str, misses: Sequence[Miss]) -> str:
    return "\n".join(
        f"{one.kind:<9}{one.name:<19}{half}.txt:{one.line} ({one.shape}) {one.text}"
        for one in sorted(misses, key=lambda one: (one.kind, one.name, one.line))
    )


def _runs(parts: Mapping[str, Sequence[Dialogue]], cache: Path, with_peer: bool) -> dict[str, dict[str, Run]]:
    runs = {
        part: {
            "gateway": gateway(dialogues, EVERYTHING),
            "gateway, default policy": gateway(dialogues, DEFAULT),
            "gateway, written": gateway(written(dialogues), EVERYTHING),
            "gateway, written, default": gateway(written(dialogues), DEFAULT),
        }
        for part, dialogues in parts.items()
    }
    known: dict[str, Mapping[str, Any]] = {}
    try:
        for part, dialogues in parts.items() if with_peer else ():
            runs[part] |= presidio(dialogues, cache, known)
    except PeerError as error:
        print(f"without presidio: {error}", file=sys.stderr)
    return runs


def _contents(dialogues: Sequence[Dialogue]) -> dict[str, Any]:
    lines = list(utterances(dialogues))
    labels = [label.entity for line in lines for label in line.labels]
    return {
        "utterances": len(lines),
        "negatives": sum(not line.labels for line in lines),
        "labels": {entity: labels.count(entity) for entity in Entity},
    }


def _speech(folder: Path) -> dict[str, Any] | None:
    if not redaction_speech.takes(folder):
        print(f"spoken digits are left out: there are none in {folder / 'digits'}", file=sys.stderr)
        return None
    return redaction_speech.summary(redaction_speech.run(folder))


def _print(result: Mapping[str, Any]) -> None:
    print(result["machine"])
    for part, content in result["parts"].items():
        print(f"\n=== {part}: {content['utterances']} utterances, {content['negatives']} negatives")
        for name, summary in content["redactors"].items():
            print(table(name, summary), end="\n\n")
    for name, one in (result["speech"] or {"kinds": {}})["kinds"].items():
        shown = f"no digit shown {_percent(one['no_digit_shown'])}, no word shown {_percent(one['no_word_shown'])}"
        print(f"spoken digits, {name:<6}{one['told']:4} told, {shown}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 2 if the labels or a model cannot be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=HALVES, help="only this one (default: both, and their sum)")
    parser.add_argument("--labels", type=Path, default=FOLDER, help="folder with development.txt and heldout.txt")
    parser.add_argument("--misses", action="store_true", help="what the gateway missed of the development half")
    parser.add_argument("--peers", nargs="*", choices=[PRESIDIO.name], default=[PRESIDIO.name], help="default: all")
    parser.add_argument("--cache", type=Path, default=peers.FOLDER, help="folder of the peers' environments")
    parser.add_argument("--speech", type=Path, default=SPEECH, help="folder with digits/")
    parser.add_argument("--no-speech", action="store_true", help="leave the recognizer out")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--keep", action="store_true", help="write the result into benchmarks/results/")
    options = parser.parse_args(arguments)
    try:
        halves = {half: read(options.labels / f"{half}.txt") for half in HALVES if options.half in (None, half)}
        parts = halves if options.half else halves | {"whole": [one for half in halves.values() for one in half]}
        runs = _runs(parts, options.cache, bool(options.peers))
        speech = None if options.no_speech else _speech(options.speech)
    except (GatewayError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    result = {
        "machine": machine() + (f", {PRESIDIO.name}: {' '.join(PRESIDIO.requirements)}" if options.peers else ""),
        "parts": {
            part: _contents(parts[part]) | {"redactors": {name: run.summary() for name, run in of_part.items()}}
            for part, of_part in runs.items()
        },
        "speech": speech,
    }
    if options.keep:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if options.json:
        print(json.dumps(result, indent=1, ensure_ascii=False))
    else:
        _print(result)
    if options.misses and "development" in runs:
        spoken, formatted = (runs["development"][name].score.misses for name in ("gateway", "gateway, written"))
        print(_misses("development", spoken))
        known = {(one.kind, one.name, one.line) for one in spoken}
        only = [one for one in formatted if (one.kind, one.name, one.line) not in known]
        print("\nwritten only:" + "".join(f"\n{line}" for line in _misses("development", only).splitlines()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
