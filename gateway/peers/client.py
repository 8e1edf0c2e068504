"""The gateway's API, as a caller sees it; errors come out of the envelope."""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import aiohttp
import orjson

from gateway.cli.console import err
from gateway.errors import PeerError, UsageError

__all__ = ["ApiError", "GatewayClient", "Json", "check_url", "credentials", "is_loopback", "tls_context"]

Json = dict[str, Any]

TIMEOUT_SECONDS = 15.0
"""A start waits 2 s for its stream, a stop 2 s for its transcripts; beyond this the gateway is not well."""

NAMESPACE = "twilio"

_ENTITIES = "/configuration/v1/redaction-entities"
_VOCABULARIES = "/configuration/v1/custom-vocabularies"


class ApiError(PeerError):
    """The gateway refused a request: HTTP status, and code and message of the envelope."""

    def __init__(self, what: str, status: int, code: str, message: str) -> None:
        super().__init__(f"{what} was refused: {code} {message}".rstrip())
        self.status = status
        self.code = code


class GatewayClient:
    """Control and messages API of one gateway, with one key; an async context manager.

    Raises:
        UsageError: ``url`` is no http:// or https:// URL.
    """

    def __init__(self, url: str, api_id: str, api_secret: str, context: ssl.SSLContext | None = None) -> None:
        check_url(url)
        self.url = url.rstrip("/")
        self._headers = {"asapp-api-id": api_id, "asapp-api-secret": api_secret}
        self._ssl: ssl.SSLContext | bool = context if context is not None else True
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._headers, timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS), json_serialize=_dumps
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def stream_url(self) -> str:
        """A stream URL, good for some minutes."""
        answer = await self._ask("the stream URL", "GET", "/mg-autotranscribe/v1/twilio-media-stream-url")
        url = answer.get("streamingUrl")
        if not isinstance(url, str):
            raise PeerError("the gateway's answer has no streamingUrl")
        return url

    async def start(self, guid: str, customer_id: str, agent_id: str, **params: Any) -> Json:
        """Start transcription; ``params`` are ``autotranscribeParams`` and ``twilioParams``."""
        body = {"namespace": NAMESPACE, "guid": guid, "customerId": customer_id, "agentId": agent_id, **params}
        return await self._ask("start-streaming", "POST", "/mg-autotranscribe/v1/start-streaming", body)

    async def stop(self, guid: str) -> Json:
        """Stop transcription; the answer has the summaries."""
        body = {"namespace": NAMESPACE, "guid": guid}
        return await self._ask("stop-streaming", "POST", "/mg-autotranscribe/v1/stop-streaming", body)

    async def messages(self, guid: str) -> list[Json]:
        """The call's transcripts so far, in order; none if the gateway knows no such conversation yet."""
        try:
            path = f"/conversation/v1/conversation/messages?externalId={guid}"
            answer = await self._ask("the transcript", "GET", path)
        except ApiError as error:
            if error.status == 404:
                return []
            raise
        items = answer.get("items")
        return items if isinstance(items, list) else []

    async def calls(self, limit: int) -> list[Json]:
        """The account's calls: live ones, then stored ones."""
        answer = await self._ask("the list of calls", "GET", f"/gateway/v1/calls?limit={limit}")
        items = answer.get("items")
        return items if isinstance(items, list) else []

    async def call(self, guid: str) -> Json:
        """One call, live and stored, with its failed deliveries."""
        return await self._ask("the call", "GET", f"/gateway/v1/calls/{quote(guid, safe='')}")

    async def redaction_entities(self) -> list[Json]:
        """All that can be redacted, with the account's policies."""
        return await self._all("the list of entities", _ENTITIES, "redactionEntities")

    async def set_redaction(self, entity: str, active: bool) -> Json:
        """Turn redaction of an entity on or off; the entity as it is then."""
        body = {"policies": {"autoTranscribe": active}}
        return await self._ask(entity, "PATCH", f"{_ENTITIES}/{quote(entity, safe='')}", body)

    async def vocabularies(self) -> list[Json]:
        """The account's custom vocabulary, oldest first."""
        return await self._all("the vocabulary", _VOCABULARIES, "customVocabularies")

    async def add_vocabulary(self, phrase: str, sounds_like: Sequence[str]) -> Json:
        """Add a phrase; the answer has its id."""
        body = {"phrase": phrase, "soundsLike": list(sounds_like)}
        return await self._ask("the phrase", "POST", _VOCABULARIES, body)

    async def delete_vocabulary(self, phrase_id: str) -> Json:
        """Remove a phrase."""
        return await self._ask("the removal", "DELETE", f"{_VOCABULARIES}/{quote(phrase_id, safe='')}")

    async def _all(self, what: str, path: str, name: str) -> list[Json]:
        """All pages of a list."""
        found: list[Json] = []
        query = "?limit=100"
        while True:
            answer = await self._ask(what, "GET", path + query)
            items, cursor = answer.get(name), answer.get("nextCursor")
            if not isinstance(items, list):
                raise PeerError(f"{what}: the answer has no {name}; is {self.url} a gateway?")
            found += items
            if not isinstance(cursor, str) or not items:
                return found
            query = f"?limit=100&cursor={quote(cursor, safe='')}"

    async def metrics(self) -> dict[str, float]:
        """Counters and gauges of ``/metrics``, by name with labels."""
        status, content = await self._fetch("/metrics", "GET", "/metrics", None)
        values = {}
        try:
            for line in content.decode().splitlines():
                name, _, value = line.rpartition(" ")
                if name and not line.startswith("#"):
                    values[name] = float(value)
        except ValueError:
            values.clear()
        if status >= 400 or not values:
            raise PeerError(f"/metrics: HTTP {status} without metrics; is {self.url} a gateway?")
        return values

    async def _ask(self, what: str, method: str, path: str, body: Mapping[str, Any] | None = None) -> Json:
        status, content = await self._fetch(what, method, path, body)
        try:
            answer = orjson.loads(content)
        except orjson.JSONDecodeError:
            raise PeerError(f"{what}: HTTP {status} without a JSON body; is {self.url} a gateway?") from None
        if not isinstance(answer, dict):
            raise PeerError(f"{what}: the answer is not a JSON object; is {self.url} a gateway?")
        if status >= 400:
            error = answer.get("error")
            told = error if isinstance(error, dict) else {}
            raise ApiError(what, status, str(told.get("code", status)), str(told.get("message", "")))
        return answer

    async def _fetch(self, what: str, method: str, path: str, body: Mapping[str, Any] | None) -> tuple[int, bytes]:
        if self._session is None:
            raise RuntimeError("GatewayClient is used inside `async with`")
        try:
            async with self._session.request(method, self.url + path, json=body, ssl=self._ssl) as answer:
                return answer.status, await answer.read()
        except TimeoutError as error:
            raise PeerError(f"{what}: no answer from {self.url} in {TIMEOUT_SECONDS:.0f} s") from error
        except aiohttp.ClientError as error:
            raise PeerError(f"no gateway at {self.url}: {_plainly(error)}") from error


def _plainly(error: aiohttp.ClientError) -> str:
    """Why there is no connection; aiohttp's own words speak of its TLS settings, over plain HTTP too."""
    match error:
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLCertVerificationError() as refused):
            return f"its certificate is not trusted ({refused.verify_message}); --ca names the PEM file of its CA"
        case aiohttp.ClientSSLError():
            return "it does not speak TLS as we do; is it an http:// address?"
        case aiohttp.ClientConnectorDNSError():
            return "there is no such host"
        case aiohttp.ClientConnectorError(os_error=OSError(errno=int(number))):
            return os.strerror(number).lower()
        case aiohttp.ServerDisconnectedError():
            return "it closed the connection without an answer; is it an https:// address?"
    return str(error)


def _dumps(value: object) -> str:
    return orjson.dumps(value).decode()


def tls_context(*, insecure: bool, ca: Path | None) -> ssl.SSLContext | None:
    """TLS settings for self-signed certificates; None leaves the system's.

    Raises:
        UsageError: both are given, or the file holds no certificates.
    """
    if insecure and ca is not None:
        raise UsageError("--insecure and --ca exclude each other")
    if insecure:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if ca is None:
        return None
    try:
        return ssl.create_default_context(cafile=str(ca))
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"--ca {ca}: no PEM file with certificates ({error})") from error


def check_url(url: str) -> None:
    """Raise UsageError unless it is a URL that a gateway may have."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port out of range, a bracket left open
        good = False
    if not good:
        raise UsageError(f"--url {url!r}: must be an http:// or https:// URL, such as http://127.0.0.1:8080")


def is_loopback(url: str) -> bool:
    """Whether a URL names this machine by a loopback address."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def credentials(url: str, api_id: str | None, api_secret: str | None) -> tuple[str, str]:
    """The API key to use: the one given, or on this machine the one that a first ``gateway serve`` left behind.

    Raises:
        UsageError: none, or half of one.
    """
    if api_id and api_secret:
        return api_id, api_secret
    if api_id or api_secret:
        raise UsageError("--api-id and --api-secret go together (or GATEWAY_API_ID and GATEWAY_API_SECRET)")
    path = Path(os.environ.get("GATEWAY_DATA_DIR") or "data") / "first-key.json"
    if not is_loopback(url) or not path.exists():
        raise UsageError("give --api-id and --api-secret (or GATEWAY_API_ID and GATEWAY_API_SECRET)")
    try:
        key = orjson.loads(path.read_bytes())
        found = str(key["apiId"]), str(key["apiSecret"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: cannot be read as a key; give --api-id and --api-secret") from error
    err.print(f"using the API key in {path}", markup=False, style="dim")
    return found
