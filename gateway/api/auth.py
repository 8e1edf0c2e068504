"""Who asks: the headers ``asapp-api-id`` and ``asapp-api-secret``, both on every call."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.api.context import CONTEXT, ApiContext, ApiStore
from gateway.errors import RequestError
from gateway.store.records import Principal

__all__ = ["AUTHENTICATOR", "ID_HEADER", "SECRET_HEADER", "Authenticator", "Protected"]

ID_HEADER = "asapp-api-id"
SECRET_HEADER = "asapp-api-secret"  # noqa: S105 - the name of a header

_MAX_CREDENTIAL_CHARS = 256
_CACHE_SECONDS = 2.0  # a revoked key works no longer than this
_CACHE_ENTRIES = 1024


class Authenticator:
    """Asks the store, and remembers a yes for two seconds; a no is never remembered.

    Bursts of starts and stops with one key then cost one query and one key derivation.
    """

    def __init__(self, store: ApiStore) -> None:
        self._store = store
        # The cache holds keyed digests: a memory dump gives no secret away.
        self._pepper = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()

    async def authenticate(self, request: web.Request) -> Principal:
        """Who sent the request.

        Raises:
            RequestError: 401-01.
            StoreError: the store cannot be asked.
        """
        api_id = request.headers.get(ID_HEADER, "")
        api_secret = request.headers.get(SECRET_HEADER, "")
        if not api_id or not api_secret:
            raise _unauthorized("send both headers asapp-api-id and asapp-api-secret")
        if max(len(api_id), len(api_secret)) > _MAX_CREDENTIAL_CHARS:
            raise _unauthorized("the key is unknown or revoked")
        principal = await self._ask(api_id, api_secret)
        if principal is None:
            raise _unauthorized("the key is unknown or revoked")
        return principal

    async def _ask(self, api_id: str, api_secret: str) -> Principal | None:
        digest = hashlib.blake2b(
            f"{len(api_id)}:{api_id}{api_secret}".encode("utf-8", "surrogateescape"), key=self._pepper
        ).digest()
        now = asyncio.get_running_loop().time()
        known = self._known.get(digest)
        if known is not None and now < known[0]:
            return known[1]
        principal = await self._store.authenticate(api_id, api_secret)
        if principal is None:
            self._known.pop(digest, None)
            return None
        # Counted from before the question, so that the answer is at most two seconds old.
        self._known[digest] = (now + _CACHE_SECONDS, principal)
        self._known.move_to_end(digest)
        if len(self._known) > _CACHE_ENTRIES:
            self._known.popitem(last=False)
        return principal


def _unauthorized(message: str) -> RequestError:
    return RequestError(401, "401-01", f"Unauthorized: {message}")


AUTHENTICATOR = web.AppKey("api_authenticator", Authenticator)


class Protected:
    """A handler behind authentication: nothing of a request is read before its sender is known."""

    def __init__(self, handler: Callable[[web.Request, ApiContext, Principal], Awaitable[web.StreamResponse]]) -> None:
        self._handler = handler

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Authenticate, then answer."""
        principal = await request.app[AUTHENTICATOR].authenticate(request)
        return await self._handler(request, request.app[CONTEXT], principal)
