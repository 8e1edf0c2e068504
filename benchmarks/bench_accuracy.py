"""How well is telephone speech read, clean and over eight bad lines, beside other recognizers?

    python -m benchmarks.bench_accuracy [--peers NAME…] [--conditions NAME…] [--speech DIR] [--json] [--keep]

Every file of ``../shared/speech`` (beside the repository; not part of it) goes through each condition of
:mod:`benchmarks.audio.conditions` and μ-law. The gateway hears it by its own path (media clock, voice activity,
endpointing, recognizer; unredacted); the peers hear the same samples brought to 16 kHz. ``--speech`` takes any folder
whose manifest.json has ``{"utterances": [{"id", "file", "text"}, …]}``, 8 kHz, one channel.

For the bounds of a difference files are drawn anew, each with its errors in all eight conditions. A reference of which
the normaliser makes one word (spoken digits) is told apart and is in no sum: all of it is right, or nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import soundfile
import soxr

from benchmarks import peers
from benchmarks.audio.conditions import CONDITIONS, disturb
from benchmarks.audio.files import SPEECH
from benchmarks.machine import machine
from benchmarks.peers import PEERS, Heard
from benchmarks.speech.accuracy import OURS, RATE, Item, report, table
from gateway import config
from gateway.errors import GatewayError, PeerError
from gateway.participants import Role
from gateway.recordings import offline
from gateway.server.speech import VAD_FILE, VAD_MODEL, load_engine
from gateway.speech.silero import Silero
from models.store import locate

__all__ = ["hear", "hear_all", "load", "main"]

RESULTS = Path(__file__).parent / "results" / "accuracy.json"


def load(speech: Path, conditions: Sequence[str]) -> list[Item]:
    """All files in each of ``conditions``.

    Raises:
        OSError: there is no speech.
    """
    entries = json.loads((speech / "manifest.json").read_text(encoding="utf-8"))["utterances"]
    clean = [(entry, soundfile.read(speech / entry["file"], dtype="int16")[0]) for entry in entries]
    return [
        Item(entry["id"], condition, entry["text"], disturb(pcm, condition, entry["id"]))
        for condition in conditions
        for entry, pcm in clean
    ]


def hear(items: Sequence[Item]) -> list[Heard]:
    """What the gateway hears, with its settings.

    Raises:
        GatewayError: a model is missing, or could not decode an utterance.
    """
    # Words are compared as they are said: "twenty two" and "22" would be two errors.
    settings = config.load(text={"formatting": False})
    voice = Silero(locate(settings.models_dir, VAD_MODEL) / VAD_FILE)
    engine = load_engine(settings)
    heard = []
    for item in items:
        start = time.process_time()
        done = offline.transcribe({Role.CUSTOMER: item.pcm}, voice, engine, settings)
        if done.failed:
            raise PeerError(f"{item.id} in condition {item.condition}: {done.failed} utterances could not be decoded")
        heard.append(Heard(tuple(one.text for one in done.utterances), time.process_time() - start))
    return heard


def hear_all(items: Sequence[Item], names: Sequence[str], cache: Path) -> dict[str, list[Heard]]:
    """What the gateway and the peers hear; a peer that cannot be made or run is said and left out.

    The peers run at once, one a core, after the gateway: words are compared, and processor time, no delays. What a peer
    has heard before it is not asked again (:func:`benchmarks.peers.transcribe`); the gateway always is.

    Args:
        items: what is played.
        names: of :data:`benchmarks.peers.PEERS`.
        cache: folder of the peers' environments.

    Raises:
        GatewayError: the gateway itself could not hear.
    """
    result = {OURS: hear(items)}
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        files = []
        for item in items:
            files.append(Path(folder) / f"{item.condition}-{item.id}.wav")
            soundfile.write(files[-1], soxr.resample(item.pcm, RATE, 2 * RATE), 2 * RATE)

        def run(name: str) -> list[Heard]:
            return peers.transcribe(PEERS[name], peers.ensure(PEERS[name], cache), files)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            running = {name: pool.submit(run, name) for name in names}
            for name, future in running.items():
                try:
                    result[name] = future.result()
                except PeerError as error:
                    print(f"without {name}: {error}", file=sys.stderr)
    return result


def _keep(result: dict[str, Any]) -> None:
    """Without what was misheard: that is long, and ``--json`` shows it."""
    items = [
        {key: value["errors"] if isinstance(value, dict) else value for key, value in item.items()}
        for item in result["items"]
    ]
    rows = ",\n  ".join(json.dumps(item) for item in items)
    head = json.dumps({**result, "items": None}, indent=1, ensure_ascii=False)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(head.replace('"items": null', f'"items": [\n  {rows}\n ]') + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 2 if the speech or a model is not here."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", nargs="*", choices=list(PEERS), default=list(PEERS), help="default: all")
    parser.add_argument("--conditions", nargs="+", choices=list(CONDITIONS), default=list(CONDITIONS))
    parser.add_argument("--speech", type=Path, default=SPEECH, help="folder with manifest.json")
    parser.add_argument("--cache", type=Path, default=peers.FOLDER, help="folder of the peers' environments")
    parser.add_argument("--json", action="store_true", help="print one JSON document, what was misheard included")
    parser.add_argument("--keep", action="store_true", help="write the result into benchmarks/results/")
    options = parser.parse_args(arguments)
    if not (options.speech / "manifest.json").is_file():
        print(f"there is no speech to measure with: {options.speech}/manifest.json is missing", file=sys.stderr)
        return 2
    items = load(options.speech, options.conditions)
    try:
        heard = hear_all(items, options.peers, options.cache)
    except GatewayError as error:
        print(error, file=sys.stderr)
        return 2
    result = {"machine": machine()} | report(items, heard)
    if options.keep:
        _keep(result)
    if options.json:
        print(json.dumps(result, indent=1, ensure_ascii=False))
    else:
        print(result["machine"], table(result), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
