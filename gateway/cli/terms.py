"""What an account would have configured, from the command line: what is hidden, and a vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from gateway.api.schemas import NewCustomVocabulary
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
            raise UsageError(f"--show {entity}: is always hidden")
        if entity in hidden:
            raise UsageError(f"--hide {entity} and --show {entity}: leave one out")
    return Policy((DEFAULT.active | hidden) - shown)


def _entity(option: str, name: str) -> Entity:
    try:
        return Entity(name.upper())
    except ValueError:
        raise UsageError(f"{option} {name!r}: must be one of {', '.join(Entity)}") from None


def vocabulary_of(file: Path | None) -> Vocabulary:
    """The phrases of a file such as `gateway vocabulary import` reads, within the configuration API's limits.

    Raises:
        UsageError: it cannot be read, holds something else, or too much.
    """
    if file is None:
        return ()
    entries = read_phrases(file)
    if len(entries) > MAX_ENTRIES:
        raise UsageError(f"{file}: holds {len(entries)} phrases; there may be {MAX_ENTRIES}")
    phrases: dict[str, Phrase] = {}
    for number, (phrase, sounds) in enumerate(entries, 1):
        try:
            entry = NewCustomVocabulary.model_validate({"phrase": phrase, "soundsLike": sounds})
        except ValidationError as error:
            first = error.errors()[0]
            raise UsageError(f"{file}, entry {number}: {first['loc'][0]}: {first['msg']}") from None
        phrases.setdefault(entry.phrase.casefold(), Phrase(entry.phrase, tuple(entry.sounds_like)))
    return tuple(phrases.values())
