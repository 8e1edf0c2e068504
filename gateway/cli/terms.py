"""What an account would have configured, from the command line: what is hidden, and a vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError
from rich.text import Text

from gateway.api.schemas import NewCustomVocabulary
from gateway.cli.console import err
from gateway.cli.vocabulary import read_phrases
from gateway.errors import UsageError
from gateway.speech.vocabulary import MAX_ENTRIES, Phrase, Vocabulary
from gateway.text.policy import DEFAULT, ENTITIES, Entity, Policy

__all__ = ["policy_of", "vocabulary_of"]


def policy_of(hide: Sequence[str], show: Sequence[str]) -> Policy:
    """The default policy with some entities more, and some fewer.

    Raises:
        UsageError: no entity of that name, one that is locked, or one both hidden and shown.
    """
    hidden = {_entity("--hide", name) for name in hide}
    shown = {_entity("--show", name) for name in show}
    for entity in shown:
        if ENTITIES[entity].locked:
            raise UsageError(f"--show {entity}: is locked: it is hidden always, and cannot be shown; leave it out")
        if entity in hidden:
            raise UsageError(f"--hide {entity} and --show {entity}: leave one out")
    return Policy((DEFAULT.active | hidden) - shown)


def _entity(option: str, name: str) -> Entity:
    try:
        return Entity(name.upper())
    except ValueError:
        raise UsageError(f"{option} {name!r}: must be one of {', '.join(Entity)}") from None


def vocabulary_of(file: Path | None) -> Vocabulary:
    """The phrases of a file as `gateway vocabulary import` takes them, within the configuration API's limits.

    Entries that it would refuse are left out, each with a line on standard error.

    Raises:
        UsageError: it cannot be read, holds something else, or nothing that can be taken.
    """
    if file is None:
        return ()
    entries = read_phrases(file)
    phrases: dict[str, Phrase] = {}
    for number, (phrase, sounds) in enumerate(entries, 1):
        try:
            entry = NewCustomVocabulary.model_validate({"phrase": phrase, "soundsLike": sounds})
        except ValidationError as error:
            first = error.errors()[0]
            _leave_out(file, number, f"{first['loc'][0]}: {first['msg']}")
            continue
        key = entry.phrase.casefold()
        if len(phrases) == MAX_ENTRIES and key not in phrases:
            _leave_out(file, number, f"there may be {MAX_ENTRIES} phrases")
            continue
        phrases.setdefault(key, Phrase(entry.phrase, tuple(entry.sounds_like)))
    if entries and not phrases:
        raise UsageError(f"{file}: holds no phrase that can be taken")
    return tuple(phrases.values())


def _leave_out(file: Path, number: int, reason: str) -> None:
    err.print(Text(f"{file}, entry {number} is left out: {reason}"), soft_wrap=True)
