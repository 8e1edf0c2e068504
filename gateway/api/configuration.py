"""What an account configures: which entities are hidden, and its custom vocabulary.

The database answers, not what this process has in memory. A change is committed before it is answered, and holds for
the next start on this process; for one on another process within a minute. Changes of one account at the same time are
made one after the other.
"""

from __future__ import annotations

import re

import structlog
from aiohttp import web

from gateway.api import schemas
from gateway.api.auth import Protected
from gateway.api.body import read_json, validated
from gateway.api.context import ApiContext
from gateway.api.endpoints import Endpoint, Parameter
from gateway.api.envelope import answer
from gateway.api.paging import PARAMETERS, page
from gateway.calls.configuration import policy_of
from gateway.errors import RequestError
from gateway.speech.vocabulary import MAX_ENTRIES
from gateway.store.configuration import NotAdded
from gateway.store.records import PhraseRecord, Principal
from gateway.text.policy import ENTITIES, Entity, Policy

__all__ = ["ENDPOINTS"]

_log = structlog.get_logger(__name__)

# A ULID, as all ids of phrases are.
_PHRASE_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")

# By id: the order stays when a later version knows more of them.
_SORTED = sorted(ENTITIES, key=lambda entity: entity.value)


async def _entities(request: web.Request, context: ApiContext, principal: Principal) -> web.Response:
    record = await context.store.configuration(principal.account_id)
    policy = policy_of(record.redaction)
    found = page(request, "entities", _SORTED, lambda entity: entity.value)
    views = [_entity(entity, policy) for entity in found.items]
    listed = schemas.RedactionEntityList(
        redaction_entities=views, next_cursor=found.next_cursor, prev_cursor=found.prev_cursor
    )
    return answer(listed, nulls=True)


async def _get_entity(request: web.Request, context: ApiContext, principal: Principal) -> web.Response:
    entity = _known_entity(request)
    record = await context.store.configuration(principal.account_id)
    return answer(_entity(entity, policy_of(record.redaction)))


async def _change_entity(request: web.Request, context: ApiContext, principal: Principal) -> web.Response:
    entity = _known_entity(request)
    body = validated(schemas.RedactionEntityChange, await read_json(request), "400-01")
    active = body.policies.auto_transcribe
    if ENTITIES[entity].locked:
        if active is False:
            raise RequestError(
                403, "403-01", f"Forbidden: {entity} is locked, it is always redacted; autoTranscribe must stay true"
            )
    elif active is not None:
        await context.store.set_redaction(principal.account_id, entity.value, active)
        await _changed(context, principal, "redaction changed", entity=entity.value, active=active)
    return await _get_entity(request, context, principal)


def _known_entity(request: web.Request) -> Entity:
    try:
        return Entity(request.match_info["entityId"])
    except ValueError:
        message = "Not found: there is no such redaction entity; GET /configuration/v1/redaction-entities lists them"
        raise RequestError(404, "404-01", message) from None


def _entity(entity: Entity, policy: Policy) -> schemas.RedactionEntity:
    policies = schemas.EntityPolicies(auto_transcribe=entity in policy)
    return schemas.RedactionEntity(id=entity.value, description=ENTITIES[entity].description, policies=policies)


async def _vocabularies(request: web.Request, context: ApiContext, principal: Principal) -> web.Response:
    record = await context.store.configuration(principal.account_id)
    found = page(request, "vocabularies", record.phrases, lambda phrase: phrase.phrase_id)
    listed = schemas.CustomVocabularyList(
        custom_vocabularies=[_vocabulary(phrase) for phrase in found.items],
        next_cursor=found.next_cursor,
        prev_cursor=found.prev_cursor,
    )
    return answer(listed, nulls=True)


async def _add_vocabulary(request: web.Request, context: ApiContext, principal: Principal) -> web.Response:
    body = validated(schemas.NewCustomVocabulary, await read_json(request), "400-01")
    account_id = principal.account_id
    added = await context.store.add_phrase(account_id, body.phrase, body.sounds_like, limit=MAX_ENTRIES)
    if added is NotAdded.DUPLICATE:
        message = (
            "Conflict: the account has this phrase already (case does not count); delete it to change how it sounds"
        )
        raise RequestError(409, "409-01", message)
    if added is NotAdded.FULL:
        message = (
            f"Unprocessable entity: the account has {MAX_ENTRIES} phrases, which is all it may have; delete one first"
        )
        raise RequestError(422, "422-01", message)
    await _changed(context, principal, "phrase added", phrase=added.phrase_id)
    return answer(_vocabulary(added), status=201)


async def _get_vocabulary(request: web.Request, context: ApiContext, principal: Principal) -> web.Response:
    phrase_id = _phrase_id(request)
    record = await context.store.configuration(principal.account_id)
    found = next((phrase for phrase in record.phrases if phrase.phrase_id == phrase_id), None)
    if found is None:
        raise _unknown_vocabulary()
    return answer(_vocabulary(found))


async def _delete_vocabulary(request: web.Request, context: ApiContext, principal: Principal) -> web.Response:
    removed = await context.store.remove_phrase(principal.account_id, _phrase_id(request))
    if removed is None:
        raise _unknown_vocabulary()
    await _changed(context, principal, "phrase removed", phrase=removed.phrase_id)
    return answer(_vocabulary(removed))


async def _changed(context: ApiContext, principal: Principal, event: str, **what: object) -> None:
    """A change is committed: it is written down who made it, and starts are to know it."""
    _log.info(event, account=principal.account_id, key=principal.key_id, **what)
    await context.configurations.refresh(principal.account_id)


def _phrase_id(request: web.Request) -> str:
    text = request.match_info["customVocabularyId"]
    if not _PHRASE_ID.fullmatch(text):
        raise _unknown_vocabulary()
    return text


def _unknown_vocabulary() -> RequestError:
    return RequestError(404, "404-01", "Not found: this account has no such custom vocabulary")


def _vocabulary(phrase: PhraseRecord) -> schemas.CustomVocabulary:
    return schemas.CustomVocabulary(id=phrase.phrase_id, phrase=phrase.phrase, sounds_like=list(phrase.sounds_like))


_TAG = "Configuration"
_ENTITY_ID = Parameter(
    "entityId",
    "path",
    "the entity's id",
    {"type": "string", "enum": [entity.value for entity in _SORTED]},
    example="EMAIL",
)
_VOCABULARY_ID = Parameter(
    "customVocabularyId",
    "path",
    "the id that was given when it was added",
    {"type": "string", "minLength": 1},
    example="01GMXE90AEV7H3J4DPBDKB1R79",
)

ENDPOINTS = (
    Endpoint(
        "GET",
        "/configuration/v1/redaction-entities",
        "getRedactionEntities",
        _TAG,
        "List what can be redacted",
        Protected(_entities),
        schemas.RedactionEntityList,
        "A page of the entities, with the account's policies",
        parameters=PARAMETERS,
        errors=(400,),
    ),
    Endpoint(
        "GET",
        "/configuration/v1/redaction-entities/{entityId}",
        "getRedactionEntity",
        _TAG,
        "Get one entity",
        Protected(_get_entity),
        schemas.RedactionEntity,
        "The entity, with the account's policies",
        parameters=(_ENTITY_ID,),
        errors=(404,),
    ),
    Endpoint(
        "PATCH",
        "/configuration/v1/redaction-entities/{entityId}",
        "updateRedactionEntity",
        _TAG,
        "Turn redaction of an entity on or off",
        Protected(_change_entity),
        schemas.RedactionEntity,
        "The entity as it is now; it holds for starts from now on, on other nodes within a minute",
        request=schemas.RedactionEntityChange,
        parameters=(_ENTITY_ID,),
        errors=(400, 403, 404, 408, 413),
    ),
    Endpoint(
        "GET",
        "/configuration/v1/custom-vocabularies",
        "getCustomVocabularies",
        _TAG,
        "List the phrases that the recognizer is to know",
        Protected(_vocabularies),
        schemas.CustomVocabularyList,
        "A page of the account's phrases, oldest first",
        parameters=PARAMETERS,
        errors=(400,),
    ),
    Endpoint(
        "POST",
        "/configuration/v1/custom-vocabularies",
        "createCustomVocabulary",
        _TAG,
        "Add a phrase",
        Protected(_add_vocabulary),
        schemas.CustomVocabulary,
        "The phrase was added; it holds for starts from now on, on other nodes within a minute",
        request=schemas.NewCustomVocabulary,
        errors=(400, 408, 409, 413, 422),
        status=201,
    ),
    Endpoint(
        "GET",
        "/configuration/v1/custom-vocabularies/{customVocabularyId}",
        "getCustomVocabulary",
        _TAG,
        "Get one phrase",
        Protected(_get_vocabulary),
        schemas.CustomVocabulary,
        "The phrase",
        parameters=(_VOCABULARY_ID,),
        errors=(404,),
    ),
    Endpoint(
        "DELETE",
        "/configuration/v1/custom-vocabularies/{customVocabularyId}",
        "deleteCustomVocabulary",
        _TAG,
        "Remove a phrase",
        Protected(_delete_vocabulary),
        schemas.CustomVocabulary,
        "The phrase was removed; this is what it was",
        parameters=(_VOCABULARY_ID,),
        errors=(404,),
    ),
)
"""The configuration API."""
