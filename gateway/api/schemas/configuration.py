"""What an account configures: redaction by entity, and custom vocabularies."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, JsonValue

from gateway.api.schemas.common import PLAIN_PATTERN, Answer, RequestModel, plain
from gateway.speech.vocabulary import MAX_PHRASE, MAX_SOUND_LENGTH, MAX_SOUNDS

__all__ = [
    "CustomVocabulary",
    "CustomVocabularyList",
    "EntityPolicies",
    "NewCustomVocabulary",
    "PolicyChanges",
    "RedactionEntity",
    "RedactionEntityChange",
    "RedactionEntityList",
]


def _words(value: str) -> str:
    """Without what nobody can hear: spaces around it, and more than one between words."""
    words = " ".join(plain(value).split())
    if not any(char.isalnum() for char in words):
        msg = "must hold a letter or a digit"
        raise ValueError(msg)
    return words


_SCHEMA: dict[str, JsonValue] = {"pattern": PLAIN_PATTERN}
_Phrase = Annotated[str, Field(min_length=1, max_length=MAX_PHRASE, json_schema_extra=_SCHEMA), AfterValidator(_words)]
_Sound = Annotated[
    str, Field(min_length=1, max_length=MAX_SOUND_LENGTH, json_schema_extra=_SCHEMA), AfterValidator(_words)
]


class PolicyChanges(RequestModel):
    """Which policies to set; only ``autoTranscribe`` applies here, the others are for products this gateway is not."""

    customer_immediate: bool | None = Field(None, description="ignored")
    customer_delayed: bool | None = Field(None, description="ignored")
    agent_immediate: bool | None = Field(None, description="ignored")
    auto_transcribe: bool | None = Field(None, description="hide the entity in transcripts")
    voice: bool | None = Field(None, description="ignored")


class RedactionEntityChange(RequestModel):
    """New policies of an entity; nothing else of it can be changed."""

    policies: PolicyChanges


class EntityPolicies(Answer):
    """The policies that apply to an entity: of AutoTranscribe's five, this gateway has one."""

    auto_transcribe: bool = Field(description="whether the entity is hidden in transcripts")


class RedactionEntity(Answer):
    """Something that can be hidden in transcripts."""

    id: str
    description: str
    policies: EntityPolicies


class RedactionEntityList(Answer):
    """A page of the entities, by id."""

    redaction_entities: list[RedactionEntity]
    next_cursor: str | None = Field(description="for the next page; null on the last one")
    prev_cursor: str | None = Field(description="for the page before; null on the first one")


class NewCustomVocabulary(RequestModel):
    """A phrase that the recognizer is to know."""

    phrase: _Phrase = Field(description="as it is to be written; with a letter or a digit in it")
    sounds_like: list[_Sound] = Field(max_length=MAX_SOUNDS, description="how it may sound, in words; may be empty")


class CustomVocabulary(Answer):
    """A phrase that the recognizer knows."""

    id: str
    phrase: str
    sounds_like: list[str]


class CustomVocabularyList(Answer):
    """A page of the account's phrases, oldest first."""

    custom_vocabularies: list[CustomVocabulary]
    next_cursor: str | None = Field(description="for the next page; null on the last one")
    prev_cursor: str | None = Field(description="for the page before; null on the first one")
