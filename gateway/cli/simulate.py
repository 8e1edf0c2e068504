"""``gateway simulate``: play a WAV file into a gateway as Twilio would, and show what comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from ssl import SSLContext
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from gateway.cli.asking import URL, Url, here
from gateway.cli.console import err, out, print_json
from gateway.errors import PeerError, UsageError
from gateway.participants import RedactionOutput, Role, Track
from gateway.peers import client, recording
from gateway.peers.client import ApiError, GatewayClient, Json
from gateway.peers.emitter import Identity, Manner, TwilioEmitter
from gateway.peers.receiver import Receiver
from gateway.peers.recording import Recording

__all__ = ["Plan", "Simulation", "simulate", "track_map"]

POLL_SECONDS = 1.0
LATE_SECONDS = 3.0
"""How long transcripts are still waited for that the summary counts and the messages endpoint does not show yet."""

_COLOURS = {"customer": "cyan", "agent": "green"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is played into which gateway, and how."""

    url: str
    api_id: str
    api_secret: str
    recording: Recording
    identity: Identity
    customer_id: str = "customer"
    agent_id: str = "agent"
    redaction: RedactionOutput | None = None
    detailed_token: bool = False
    track_map: dict[str, str] | None = None
    sockets: int = 1
    listen: int | None = None
    context: SSLContext | None = None
    manner: Manner = field(default_factory=Manner)


@dataclass(slots=True)
class Simulation:
    """One simulated call; :meth:`run` plays it.

    ``show`` is given each transcript as it comes, as a line; ``progress`` how many ms are played.
    """

    plan: Plan
    show: Callable[[Text], None]
    progress: Callable[[int], None] | None = None
    messages: dict[str, Json] = field(default_factory=dict)
    posts: list[Json] = field(default_factory=list)
    _earlier: frozenset[str] = frozenset()
    _begin: float = 0.0

    async def run(self) -> Json:
        """Play the call; the answer has ``callSid``, ``start``, ``stop``, ``messages``, ``pacing``, ``posts``.

        Raises:
            PeerError: the gateway cannot be reached, refuses, or breaks off.
            UsageError: a URL or port that cannot be used.
        """
        plan = self.plan
        guid = plan.identity.call_sid
        async with AsyncExitStack() as stack:
            if plan.listen is not None:
                receiver = await stack.enter_async_context(Receiver(plan.listen, self._posted))
                self.show(Text(f"listening on {receiver.url} (the gateway's GATEWAY_WEBHOOK__URL)", "dim"))
            gateway = await stack.enter_async_context(
                GatewayClient(plan.url, plan.api_id, plan.api_secret, plan.context)
            )
            emitter = TwilioEmitter(
                await gateway.stream_url(), plan.recording, plan.identity,
                sockets=plan.sockets, manner=plan.manner, context=plan.context, on_progress=self.progress,
            )  # fmt: skip
            stack.push_async_callback(emitter.close)
            await self._look_back(gateway)
            await emitter.connect()
            started = await gateway.start(guid, plan.customer_id, plan.agent_id, **self._params())
            _check(started, "start-streaming")
            self._begin = time.monotonic()
            async with self._polling(gateway):
                await emitter.play()
            stopped = await self._stop(gateway, guid)
            await self._last_messages(gateway, stopped)
        if plan.listen is not None and self.messages and not self.posts:
            raise PeerError(
                f"no post came to port {plan.listen}, though the gateway has the transcripts; "
                f"run it with GATEWAY_WEBHOOK__URL={receiver.url}"
            )
        result: Json = {"callSid": guid, "start": started, "stop": stopped, "messages": list(self.messages.values())}
        return result | {"pacing": asdict(emitter.pacing), "posts": self.posts}

    async def _look_back(self, gateway: GatewayClient) -> None:
        """A Call SID that was used before has that call's transcripts, too."""
        found = await gateway.messages(self.plan.identity.call_sid)
        self._earlier = frozenset(item["messageId"] for item in found)
        if found:
            self.show(Text(f"this Call SID was used before: its {len(found)} earlier transcripts are left out", "dim"))

    async def _stop(self, gateway: GatewayClient, guid: str) -> Json:
        """Stop transcription; one that somebody else has stopped meanwhile has no summary for us."""
        try:
            return await gateway.stop(guid)
        except ApiError as error:
            if error.code != "409-201":
                raise
            self.show(Text("transcription was stopped by another request", "dim"))
            return {}

    def _params(self) -> Json:
        params: Json = {}
        transcription: Json = {}
        if self.plan.redaction is not None:
            transcription["redactionOutput"] = str(self.plan.redaction)
        if self.plan.detailed_token:
            transcription["detailedToken"] = True
        if transcription:
            params["autotranscribeParams"] = transcription
        if self.plan.track_map is not None:
            params["twilioParams"] = {"trackMap": self.plan.track_map}
        return params

    @asynccontextmanager
    async def _polling(self, gateway: GatewayClient) -> AsyncIterator[None]:
        task = asyncio.create_task(self._poll_on(gateway))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    async def _poll_on(self, gateway: GatewayClient) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            # A poll that fails is made up for by the next one; the last one, after the call, tells of its failure.
            with suppress(PeerError):
                await self._poll(gateway)

    async def _poll(self, gateway: GatewayClient) -> None:
        for item in await gateway.messages(self.plan.identity.call_sid):
            if item["messageId"] not in self.messages and item["messageId"] not in self._earlier:
                self.messages[item["messageId"]] = item
                if self.plan.listen is None:
                    self.show(self._line(time.monotonic(), item["sender"]["role"], item["text"]))

    async def _last_messages(self, gateway: GatewayClient, stopped: Json) -> None:
        participants = stopped.get("autotranscribeResponse") or {}
        wanted = sum(part.get("summary", {}).get("transcripts", 0) for part in participants.values())
        deadline = time.monotonic() + LATE_SECONDS
        await self._poll(gateway)
        while len(self.messages) < wanted and time.monotonic() < deadline:
            await asyncio.sleep(POLL_SECONDS / 4)
            await self._poll(gateway)

    def _posted(self, arrived: float, body: Json) -> None:
        if body.get("externalConversationId") != self.plan.identity.call_sid:
            return
        answer = body["autotranscribeResponse"]
        late_ms = round((arrived - self._begin) * 1000 - answer["end"])
        self.posts.append(body | {"latencyMs": late_ms})
        line = self._line(arrived, body["sender"]["role"], answer["utterance"][0]["text"])
        self.show(line.append(f"  ({late_ms} ms after its end)", "dim"))

    def _line(self, arrived: float, role: str, text: str) -> Text:
        line = Text(f"{arrived - self._begin:7.1f} s  ", "dim")
        return line.append(f"{role:<8}  ", _COLOURS.get(role, "")).append(text, "default")


def _check(answer: Json, what: str) -> None:
    if answer.get("isOk") is True:
        return
    participants = answer.get("autotranscribeResponse") or {}
    status = {f"{part['status']['code']} {part['status']['description']}" for part in participants.values()}
    reason = answer.get("errorMessage") or ", ".join(sorted(status)) or "no reason given"
    raise PeerError(f"{what} took no effect: {reason}")


def track_map(value: str | None) -> dict[str, str] | None:
    """``inbound=ROLE,outbound=ROLE`` as the API wants it; None stays None.

    Raises:
        UsageError: another form, track or role.
    """
    if value is None:
        return None
    pairs: dict[str, str] = {}
    for part in value.split(","):
        track, _, role = part.strip().partition("=")
        if track not in set(Track) or role not in set(Role):
            raise UsageError(f"--track-map {value!r}: must be like inbound=agent,outbound=customer")
        pairs[track] = role
    return pairs


def _summary(result: Json) -> Text:
    pacing, lines = result["pacing"], Text()
    for role, part in sorted((result["stop"].get("autotranscribeResponse") or {}).items()):
        summary = part.get("summary") or {}
        lines.append(f"{role:<8}  ", _COLOURS.get(role, "")).append(
            f"{summary.get('transcripts', 0)} transcripts of {summary.get('audioDurationMs', 0) / 1000:.1f} s\n",
            "default",
        )
    return lines.append(
        f"{pacing['messages']} messages sent, 99 % within {pacing['p99_ms']:.1f} ms of their time", "dim"
    )


def simulate(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.wav", help="One channel: inbound. Two: left inbound, right outbound.")
    ],
    url: Url = URL,
    api_id: Annotated[str | None, typer.Option(envvar="GATEWAY_API_ID", show_envvar=True)] = None,
    api_secret: Annotated[str | None, typer.Option(envvar="GATEWAY_API_SECRET", show_envvar=True)] = None,
    redaction_output: Annotated[RedactionOutput | None, typer.Option(help="Which texts come back.")] = None,
    detailed_token: Annotated[
        bool, typer.Option("--detailed-token", help="Posts with each word's times; needs unredacted.")
    ] = False,
    listen: Annotated[
        int | None,
        typer.Option(
            "--listen", "--webhook-listen", metavar="PORT", help="Receive the webhook here and show its posts."
        ),
    ] = None,
    tracks: Annotated[str | None, typer.Option("--track-map", help="inbound=ROLE,outbound=ROLE")] = None,
    sockets: Annotated[str, typer.Option(help="one for both tracks, or two: one each.")] = "one",
    guid: Annotated[str | None, typer.Option(help="Call SID; made up if not given.")] = None,
    customer_id: Annotated[str, typer.Option()] = "customer",
    agent_id: Annotated[str, typer.Option()] = "agent",
    insecure: Annotated[bool, typer.Option("--insecure", help="Do not check the gateway's certificate.")] = False,
    ca: Annotated[Path | None, typer.Option(help="PEM file with the CA of the gateway's certificate.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document at the end.")] = False,
) -> None:
    """Play a WAV file into a gateway as Twilio would, in real time, and show the transcripts as they come."""
    if sockets not in ("one", "two"):
        raise UsageError(f"--sockets {sockets!r}: must be one or two")
    if detailed_token and redaction_output is not RedactionOutput.UNREDACTED:
        raise UsageError("--detailed-token: words would show what is hidden; add --redaction-output unredacted")
    url = url or here()
    key = client.credentials(url, api_id, api_secret)
    plan = Plan(
        url, *key, recording.load(file), Identity.random(guid), customer_id, agent_id, redaction_output, detailed_token,
        track_map(tracks), 2 if sockets == "two" else 1, listen, client.tls_context(insecure=insecure, ca=ca),
    )  # fmt: skip
    result = _play(plan, err if as_json else out)
    if as_json:
        print_json(result)
    else:
        out.print(_summary(result))


def _play(plan: Plan, console: Console) -> dict[str, Any]:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("playing", total=plan.recording.duration_ms)
        simulation = Simulation(
            plan,
            show=lambda line: console.print(line, soft_wrap=True),
            progress=lambda played: bar.update(task, completed=played),
        )
        return uvloop.run(simulation.run())
