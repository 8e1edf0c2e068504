"""``gateway transcribe``: a recorded call through the gateway's own pipeline, without a gateway."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from gateway import config
from gateway.cli import offline
from gateway.cli.console import err, out, print_json
from gateway.cli.offline import Transcription, Utterance
from gateway.cli.simulate import track_map
from gateway.config import Settings
from gateway.delivery.payload import transcript_body
from gateway.errors import ConfigError, UsageError
from gateway.ids import new_stream_id, new_ulid
from gateway.participants import RedactionOutput, Role, Track
from gateway.peers import recording
from gateway.peers.client import Json
from gateway.peers.recording import Recording
from gateway.store.records import CallRecord, MessageRecord

__all__ = ["document", "line", "roles_of", "transcribe"]

_COLOURS = {Role.CUSTOMER: "cyan", Role.AGENT: "green"}


def roles_of(tracks: Recording, given: str | None) -> dict[Track, Role]:
    """Who speaks on each track of the recording.

    Args:
        tracks: the recording.
        given: ``inbound=ROLE,outbound=ROLE``; None for the customer on the inbound track.

    Raises:
        UsageError: another form, or both tracks are one participant's.
    """
    roles = {Track.INBOUND: Role.CUSTOMER, Track.OUTBOUND: Role.AGENT}
    roles |= {Track(name): Role(role) for name, role in (track_map(given) or {}).items()}
    roles = {name: roles[name] for name in tracks.tracks}
    if len(set(roles.values())) < len(roles):
        raise UsageError(f"--track-map {given!r}: both tracks are the {roles[Track.INBOUND]}'s; give each its own role")
    return roles


def document(
    file: Path, done: Transcription, redaction: RedactionOutput, names: Mapping[Role, str] | None = None
) -> Json:
    """``file``, ``durationMs``, ``failed`` and ``messages``: each what the webhook would have been sent.

    ``names`` are the participants' external ids; a role's name without one. The file's name stands for the call.
    """
    names = names or {}
    call = CallRecord(
        call_id=new_ulid(),
        account_id="",
        guid=file.stem,
        language="en-US",
        customer_id=names.get(Role.CUSTOMER, Role.CUSTOMER),
        agent_id=names.get(Role.AGENT, Role.AGENT),
        started_at=datetime.now(UTC),
    )
    streams = {role: new_stream_id() for role in Role}
    messages = [
        _message(call, sequence, one, redaction, streams[one.role])
        for sequence, one in enumerate(done.utterances, start=1)
    ]
    return {"file": str(file), "durationMs": done.duration_ms, "failed": done.failed, "messages": messages}


def _message(call: CallRecord, sequence: int, one: Utterance, redaction: RedactionOutput, stream_id: str) -> Json:
    record = MessageRecord(
        message_id=new_ulid(),
        call_id=call.call_id,
        sequence=sequence,
        stream_id=stream_id,
        role=one.role.value,
        external_id=call.customer_id if one.role is Role.CUSTOMER else call.agent_id,
        start_ms=one.start_ms,
        end_ms=one.end_ms,
        text=one.redacted,
        client_timestamp=call.started_at + timedelta(milliseconds=one.start_ms),
        created_timestamp=call.started_at,
    )
    message: Json = orjson.loads(transcript_body(call, record, redaction, one.text, ()))
    return message


def line(one: Utterance, redaction: RedactionOutput) -> Text:
    """An utterance as it is shown: when, who, what."""
    shown = Text(f"{_clock(one.start_ms)} – {_clock(one.end_ms)}  ", "dim")
    text = one.text if redaction is RedactionOutput.UNREDACTED else one.redacted
    shown.append(f"{one.role:<8}  ", _COLOURS[one.role]).append(text, "default")
    if redaction is RedactionOutput.BOTH and one.text != one.redacted:
        shown.append(f"\n{'unredacted':>27}  ", "dim").append(one.text, "yellow")
    return shown


def _clock(ms: int) -> str:
    minutes, rest = divmod(ms, 60_000)
    return f"{minutes:2}:{rest // 1000:02}.{rest % 1000 // 100}"


def transcribe(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.wav", help="One channel: inbound. Two: left inbound, right outbound.")
    ],
    redaction_output: Annotated[
        RedactionOutput, typer.Option(help="Which texts are printed.")
    ] = RedactionOutput.REDACTED,
    tracks: Annotated[
        str | None,
        typer.Option("--track-map", help="inbound=ROLE,outbound=ROLE; inbound is the customer if not given."),
    ] = None,
    customer_id: Annotated[str, typer.Option(help="externalId of the customer in --json.")] = "customer",
    agent_id: Annotated[str, typer.Option(help="externalId of the agent in --json.")] = "agent",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    config_file: Annotated[Path | None, typer.Option("--config", help="TOML file with settings.")] = None,
) -> None:
    """Transcribe a recorded call as the gateway would, as fast as the cores allow; no gateway need run."""
    settings = config.load(config_file)
    call = recording.load(file)
    roles = roles_of(call, tracks)
    done = _run(settings, call, roles)
    if as_json:
        names = {Role.CUSTOMER: customer_id, Role.AGENT: agent_id}
        print_json(document(file, done, redaction_output, names))
    else:
        for one in done.utterances:
            out.print(line(one, redaction_output), soft_wrap=True)
    if done.failed:
        err.print(f"[red]error:[/] {done.failed} utterances could not be recognised and are missing", soft_wrap=True)
        raise typer.Exit(1)


def _run(settings: Settings, call: Recording, roles: Mapping[Track, Role]) -> Transcription:
    # Imported here: the models' runtime takes long to load, and every other command would wait for it.
    from gateway.server.speech import NO_MODEL, VAD_FILE, VAD_MODEL, load_engine
    from gateway.speech.silero import Silero
    from models.store import locate

    if settings.asr.model == NO_MODEL:
        raise ConfigError("GATEWAY_ASR__MODEL: 'none' transcribes nothing; `gateway models list` shows the recognizers")
    voice = Silero(locate(settings.models_dir, VAD_MODEL) / VAD_FILE)
    engine = load_engine(settings)
    audio = {role: call.tracks[name] for name, role in roles.items()}
    total = call.duration_ms / 1000
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} s of audio"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("transcribing", total=total)
        return offline.transcribe(audio, voice, engine, settings, lambda ms: bar.update(task, completed=ms / 1000))
