"""The gateway put together: every stage made, started, drained and closed, in the order of the way of the data."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import structlog
from aiohttp import web
from websockets.frames import CloseCode

from gateway._native import chosen
from gateway._version import __version__
from gateway.api.context import ApiContext, HealthReport
from gateway.api.routes import install
from gateway.calls.configuration import Configurations
from gateway.calls.registry import Registry
from gateway.calls.transcription import Conversations
from gateway.config import Settings, WebhookAuth, WebhookDelivery
from gateway.delivery.delivery import Delivery, record_outcomes
from gateway.delivery.live import LiveView
from gateway.delivery.outbox import Outbox
from gateway.delivery.webhook import WebhookPublisher
from gateway.errors import ConfigError, SealedError
from gateway.export.aside import Aside
from gateway.export.exporter import Exporter
from gateway.server.boot import alone, first_key
from gateway.server.connection import MediaConnection
from gateway.server.front import KEEPALIVE_S, MediaRoute, listen, raise_descriptor_limit
from gateway.server.handshake import Doorkeeper
from gateway.server.notify import notify
from gateway.server.plane import MediaPlane
from gateway.server.services import ConnectionServices
from gateway.server.speech import open_speech
from gateway.server.tidy import settle, tidy
from gateway.server.tokens import StreamTokens
from gateway.speech.stage import SpeechStage
from gateway.store.secrets import resolve, store_key
from gateway.store.store import Store
from gateway.store.writer import Writer
from gateway.text.redaction import Redactor

__all__ = ["Gateway", "serve"]

log = structlog.get_logger(__name__)

PURGE_S = 3600.0

CLOSING_S = 5.0
"""How long media sockets may take to close when the gateway ends; each is cut off after 2 s, if nothing fails."""

REQUESTS_S = 5.0
"""How long requests that are being answered may take when the gateway ends."""

LAST_POSTS_S = 2.0
"""How long posts that wait may take when the gateway ends; the rest become drop records."""


class Gateway:
    """A gateway that runs; make one with :func:`running`."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        writer: Writer,
        speech: SpeechStage | None,
        publisher: WebhookPublisher | Outbox | None,
        exporter: Exporter | None = None,
    ) -> None:
        self.settings = settings
        self.store = store
        self.writer = writer
        self.speech = speech
        self.publisher = publisher
        secret = resolve(
            settings.stream_token_secret, "GATEWAY_STREAM_TOKEN_SECRET", settings.data_dir / "stream-token-secret"
        )
        self.tokens = StreamTokens(secret, settings.stream_token_ttl)
        self.feeds = None if exporter is None else exporter.catalogue(secret, lambda: self.api_url)
        self.plane = MediaPlane(settings.limits.tick_ms, on_tick=None if speech is None else speech.wake)
        self.live = LiveView()
        self.configurations = Configurations(store)
        conversations = Conversations(
            Delivery(writer, publisher, self.live.message),
            writer,
            Redactor,
            self.live,
            configured=self.configurations.of,
            always_redacted=settings.redaction.always,
            formatting=settings.text.formatting,
        )
        self.registry = Registry(
            settings.limits, conversations, speech, store_healthy=lambda: writer.healthy, look=self.plane.look
        )
        doorkeeper = Doorkeeper(self.tokens, store.key_active, settings.twilio, lambda: self.public_url)
        services = ConnectionServices(self.registry, self.plane, doorkeeper.principal)
        self.media = MediaRoute(doorkeeper, services, settings.limits)
        self.port = 0
        self.failed: BaseException | None = None
        self.stopping = asyncio.Event()
        if speech is not None:
            speech.on_failure = self._fail

    def _fail(self, error: BaseException) -> None:
        """A stage has died: better to end, and be started again, than to go on deaf."""
        self.failed = error
        self.stopping.set()

    @property
    def public_url(self) -> str:
        """The ``wss://`` base of stream URLs: as configured, else the address that is listened on."""
        if self.settings.public_url is not None:
            return self.settings.public_url
        return self.public_url_of("wss" if self.settings.tls.cert else "ws")

    @property
    def api_url(self) -> str:
        """The ``http(s)://`` address that callers from elsewhere reach the API at."""
        return "http" + self.public_url.removeprefix("ws")

    @property
    def url(self) -> str:
        """Where API and pages are served."""
        return self.public_url_of("https" if self.settings.tls.cert else "http")

    def public_url_of(self, scheme: str) -> str:
        """The bind address as a URL."""
        host = self.settings.host
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    def health(self) -> HealthReport:
        """Whether new calls are taken."""
        overloaded = self.speech is not None and self.speech.overloaded
        checks = {
            "store": "ok" if self.writer.healthy else "commits fail or are slow",
            "recognizer": "overloaded" if overloaded else "ok",
            "lifecycle": "draining" if self.registry.draining else "ok",
        }
        return HealthReport(all(state == "ok" for state in checks.values()), checks)

    def application(self) -> web.Application:
        """The aiohttp application: the media route, then the API."""
        # 1 MiB is far above any request of the API.
        app = web.Application(client_max_size=1024 * 1024)
        context = ApiContext(
            control=self.registry,
            store=self.store,
            tokens=self.tokens,
            public_url=lambda: self.public_url,
            health=self.health,
            settings=self.settings,
            configurations=self.configurations,
            feeds=self.feeds,
        )
        self.media.install(app)
        install(app, context)
        return app

    @property
    def refusing(self) -> bool:
        """Whether new sockets and starts are refused, as they are before all is ready and after the end has begun."""
        return self.registry.draining

    @refusing.setter
    def refusing(self, refuse: bool) -> None:
        self.media.draining = self.registry.draining = refuse

    async def drain(self) -> None:
        """Refuse what is new, give calls a while to end, then end them: flush, deliver, close 1001."""
        self.refusing = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.registry.idle(), self.settings.drain_seconds)
        self.plane.sweep()
        for socket in self.plane.sockets:
            if not isinstance(socket, MediaConnection):
                continue
            try:
                socket.read_now()
                socket.fail(CloseCode.GOING_AWAY, "the gateway is shutting down")
            except Exception:
                log.exception("media socket could not be closed")
        await self.registry.close()
        self.live.close()
        # The closing handshakes; a peer that does not answer is cut off by its socket before.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.plane.emptied(), CLOSING_S)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Gateway]:
    """A gateway that listens; on leaving it is drained and closed.

    Raises:
        ConfigError, ModelError, StoreError: what stops the start, in one line.
    """
    raise_descriptor_limit()
    async with AsyncExitStack() as stack:
        stack.enter_context(alone(settings.data_dir))
        key = store_key(settings)
        store = await Store.open(settings.resolved_database_url, key=key)
        stack.push_async_callback(store.close)
        await _check_key(store)
        writer = Writer(store)
        writer.start()
        stack.push_async_callback(writer.close)
        publisher = _publisher(settings, store, writer)
        if publisher is not None:
            stack.push_async_callback(publisher.close, LAST_POSTS_S)
        speech = await open_speech(settings, stack)
        exporter = Exporter.open(settings, store, patient=False) if settings.export.enabled else None
        gateway = Gateway(settings, store, writer, speech, publisher, exporter)
        stack.callback(gateway.plane.close)
        await gateway.configurations.load()
        reloader = asyncio.create_task(gateway.configurations.run(), name="configurations")
        stack.push_async_callback(_cancel, reloader)
        runner = web.AppRunner(
            gateway.application(),
            access_log=None,
            handle_signals=False,
            keepalive_timeout=KEEPALIVE_S,
            shutdown_timeout=REQUESTS_S,
        )
        stack.push_async_callback(runner.cleanup)
        gateway.refusing = True
        server = await _listen(gateway, runner)
        stack.callback(server.close)
        # Not before the port is ours: a start by mistake must not end the calls of the gateway that runs.
        await store.interrupt_live_calls(keep_posts=isinstance(publisher, Outbox))
        if isinstance(publisher, Outbox):
            publisher.start()
        gateway.refusing = False
        purger = asyncio.create_task(_purge(store, settings), name="purge")
        stack.push_async_callback(_cancel, purger)
        if exporter is not None:
            feeds = asyncio.create_task(exporter.scheduler(Aside(settings)).run(), name="feeds")
            stack.push_async_callback(_cancel, feeds)
        stack.push_async_callback(gateway.drain)
        yield gateway


async def _check_key(store: Store) -> None:
    """Another key stops no start: new calls are stored under it, and redacted texts need none."""
    try:
        await store.check_key()
    except SealedError as error:
        log.error("what is stored cannot be opened; unredacted texts of earlier calls are not shown", reason=str(error))


async def _listen(gateway: Gateway, runner: web.AppRunner) -> asyncio.Server:
    settings = gateway.settings
    try:
        server = await listen(runner, settings.host, settings.port, _tls(settings))
    except OSError as error:
        msg = (
            f"GATEWAY_HOST, GATEWAY_PORT: cannot listen on {settings.host}:{settings.port} ({error.strerror}); "
            "choose an address of this machine and a free port"
        )
        raise ConfigError(msg) from error
    gateway.port = int(server.sockets[0].getsockname()[1])
    return server


def _publisher(settings: Settings, store: Store, writer: Writer) -> WebhookPublisher | Outbox | None:
    if settings.webhook.url is None:
        return None
    url = urlsplit(settings.webhook.url)
    plain = url.scheme == "http" and url.hostname not in ("127.0.0.1", "localhost", "::1")
    if plain and settings.webhook.auth is not WebhookAuth.NONE:
        log.warning("the webhook's credentials cross plain HTTP; use an https:// URL")
    if settings.webhook.delivery is WebhookDelivery.AT_LEAST_ONCE:
        return Outbox(settings.webhook, store, writer)
    return WebhookPublisher(settings.webhook, on_outcome=record_outcomes(writer))


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.tls.cert is None or settings.tls.key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls.cert, settings.tls.key)
    except (OSError, ssl.SSLError) as error:
        msg = f"GATEWAY_TLS__CERT, GATEWAY_TLS__KEY: cannot be used ({error}); name a PEM chain and its key"
        raise ConfigError(msg) from error
    return context


async def _purge(store: Store, settings: Settings) -> None:
    """Forget what is older than its retention, once an hour."""
    while True:
        try:
            before = datetime.now(UTC) - timedelta(days=settings.retention.messages_days)
            removed = await store.purge(before)
            if removed:
                log.info("old conversations removed", sessions=removed)
        except Exception as error:
            log.warning("removal of old conversations failed", error=type(error).__name__)
        await asyncio.sleep(PURGE_S)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT, then drain.

    Raises:
        GatewayError: what stopped the start; our bug, if a stage died.
    """
    loop = asyncio.get_running_loop()
    async with running(settings) as gateway:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, gateway.stopping.set)
        await first_key(gateway.store, settings.data_dir)
        settle()
        tidier = asyncio.create_task(tidy(lambda: len(gateway.plane)), name="tidy")
        log.info(
            "serving",
            url=gateway.url,
            streams=gateway.public_url,
            version=__version__,
            model=settings.asr.model,
            webhook=settings.webhook.url is not None,
            kernels=",".join(name for name, kind in chosen().items() if kind == "compiled") or "none (Python twins)",
        )
        if settings.host not in ("127.0.0.1", "localhost", "::1") and settings.tls.cert is None:
            log.warning("API keys cross plain HTTP; end TLS here (GATEWAY_TLS__CERT) or in a proxy in front")
        notify("READY=1")
        await gateway.stopping.wait()
        notify("STOPPING=1")
        await _cancel(tidier)
        log.info("draining", seconds=settings.drain_seconds, calls=gateway.registry.transcribing)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
    log.info("stopped")
    if gateway.failed is not None:
        raise gateway.failed
