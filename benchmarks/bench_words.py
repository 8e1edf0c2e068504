"""What do a second hearing and the overlap at a cut bring, and what do they cost?

    python -m benchmarks.bench_words [again] [seams] [--speech DIR] [--conditions NAME…]

``again``: word errors and processor time by the confidence below which an utterance is heard again (0: never).
``seams``: word errors where monologues are cut at 4 and 6 s, with the overlap and without.
The audio takes the gateway's own path, as in ``bench_accuracy``, whose speech and conditions it uses.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.audio.conditions import CONDITIONS
from benchmarks.audio.files import SPEECH
from benchmarks.bench_accuracy import load
from benchmarks.speech.accuracy import Item
from benchmarks.speech.wer import one_word, score
from gateway import config
from gateway.recordings.offline import listen
from gateway.server.speech import VAD_FILE, VAD_MODEL, load_engine
from gateway.speech import search
from gateway.speech.engine import Engine, Past
from gateway.speech.moonshine import MoonshineSession
from gateway.speech.silero import Silero
from gateway.speech.track import Ending
from models.store import locate

__all__ = ["main"]

THRESHOLDS = (0.0, 0.75, 0.8, 0.85)
LONGEST_MS = (4000, 6000)


def _hear(items: Sequence[Item], engine: Engine, voice: Silero, longest_ms: int | None) -> str:
    """Errors, of those at a border, cuts and processor time as a line."""
    settings = config.load()
    endpoint = settings.endpoint
    if longest_ms is not None:
        endpoint = endpoint.model_copy(update={"max_utterance_ms": longest_ms})
    clean = bad = border = words = cuts = 0
    started = time.process_time()
    for item in items:
        found = list(listen(item.pcm, voice, engine, settings.vad, endpoint))
        one = score(item.text, [each.hypothesis.text for each in found if each.hypothesis is not None])
        clean += one.errors if item.condition == "clean" else 0
        bad += one.errors if item.condition != "clean" else 0
        border, words = border + one.border, words + one.words
        cuts += sum(each.segment.ending is Ending.CUT for each in found)
    seconds = time.process_time() - started
    return (
        f"clean {clean:4}  bad lines {bad:5}  of {words} words, {border} at a border, {cuts} cuts, {seconds:.1f} s CPU"
    )


def _again(items: Sequence[Item], engine: Engine, voice: Silero) -> None:
    usual = search.DOUBTFUL
    for threshold in THRESHOLDS:
        search.DOUBTFUL = threshold
        print(f"again below {threshold:.2f}   {_hear(items, engine, voice, None)}", flush=True)
    search.DOUBTFUL = usual


def _seams(items: Sequence[Item], engine: Engine, voice: Silero) -> None:
    recall = MoonshineSession.recall

    def forget_cuts(session: MoonshineSession, past: Past) -> None:
        if not past.cut:
            recall(session, past)

    for longest_ms in LONGEST_MS:
        for name, way in (("alone", forget_cuts), ("sewn", recall)):
            setattr(MoonshineSession, "recall", way)  # noqa: B010 - mypy takes no assignment to a method
            print(f"cut at {longest_ms} ms, {name:<6} {_hear(items, engine, voice, longest_ms)}", flush=True)
    setattr(MoonshineSession, "recall", recall)  # noqa: B010 - as above


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 2 if the speech is not here."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "what", nargs="*", choices=["again", "seams", []], metavar="PART", help="again or seams; default: both"
    )
    parser.add_argument("--speech", type=Path, default=SPEECH, help="folder with manifest.json")
    parser.add_argument("--conditions", nargs="+", choices=list(CONDITIONS), default=list(CONDITIONS))
    options = parser.parse_args(arguments)
    if not (options.speech / "manifest.json").is_file():
        print(f"there is no speech to measure with: {options.speech}/manifest.json is missing", file=sys.stderr)
        return 2
    items = [item for item in load(options.speech, options.conditions) if not one_word(item.text)]
    settings = config.load()
    voice, engine = Silero(locate(settings.models_dir, VAD_MODEL) / VAD_FILE), load_engine(settings)
    for name, run in (("again", _again), ("seams", _seams)):
        if name in (options.what or ["again", "seams"]):
            run(items, engine, voice)
    return 0


if __name__ == "__main__":
    sys.exit(main())
