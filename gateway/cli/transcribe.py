"""``gateway transcribe``: recorded calls through the gateway's own pipeline, without a gateway."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from gateway import config
from gateway.cli.batch import Batch, Item, Tally
from gateway.cli.console import err, out
from gateway.cli.simulate import track_map
from gateway.cli.terms import policy_of, vocabulary_of
from gateway.config import Settings
from gateway.errors import ConfigError, UsageError
from gateway.participants import RedactionOutput, Role, Track
from gateway.peers import recording
from gateway.recordings.forms import Form, Shelf, render
from gateway.recordings.offline import Terms, Transcriber, Transcription, Utterance
from gateway.recordings.sources import Chosen, choose, unlike
from gateway.recordings.transcripts import Transcript, Who, plain, transcript
from gateway.speech.engine import DecodeOptions

__all__ = ["line", "roles_of", "transcribe"]

_Fail = Callable[[UsageError], None]
"""Told of a recording that cannot be read or written; may raise."""

_COLOURS = {Role.CUSTOMER: "cyan", Role.AGENT: "green"}


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the options say."""

    settings: Settings
    forms: tuple[Form, ...]
    who: Who
    terms: Terms
    shelf: Shelf | None
    force: bool
    started_at: datetime | None
    jobs: int
    quiet: bool


def roles_of(
    tracks: Sequence[Track], given: str | None = None, *, swapped: bool = False, mono: Role | None = None
) -> dict[Track, Role]:
    """Who speaks on each track of a recording.

    Args:
        tracks: those that it has.
        given: ``inbound=ROLE,outbound=ROLE``; None for the customer on the inbound track.
        swapped: the agent is on the inbound track of two.
        mono: who speaks on the only track of one.

    Raises:
        UsageError: another form, or both tracks are one participant's.
    """
    roles = {Track.INBOUND: Role.CUSTOMER, Track.OUTBOUND: Role.AGENT}
    roles |= {Track(name): Role(role) for name, role in (track_map(given) or {}).items()}
    roles = {name: roles[name] for name in tracks}
    if len(roles) == 1 and mono is not None:
        roles[tracks[0]] = mono
    if len(set(roles.values())) < len(roles):
        raise UsageError(f"--track-map {given!r}: both tracks are the {roles[Track.INBOUND]}'s; give each its own role")
    if len(roles) > 1 and swapped:
        roles = dict(zip(roles, reversed(roles.values()), strict=True))
    return roles


def line(one: Utterance, redaction: RedactionOutput) -> Text:
    """An utterance as a terminal shows it: when, who, what."""
    first, *more = plain(one, redaction)
    shown = Text(first)
    shown.stylize("dim", 0, 19)
    shown.stylize(_COLOURS[one.role], 19, 29)
    for other in more:
        shown.append(f"\n{other}", "yellow")
    return shown


def transcribe(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE…", help="Recordings, folders of them, patterns. One channel: inbound. Two: left inbound."
        ),
    ],
    forms: Annotated[list[Form] | None, typer.Option("--format", "-f", help="May be repeated.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Write files here; needed for several.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave out what is there: go on where a run ended.")
    ] = False,
    redaction_output: Annotated[
        RedactionOutput, typer.Option(help="Which texts are written.")
    ] = RedactionOutput.REDACTED,
    detailed_token: Annotated[
        bool, typer.Option("--detailed-token", help="Words with times in json, webhook and vtt; needs unredacted.")
    ] = False,
    hide: Annotated[list[str] | None, typer.Option(metavar="ENTITY", help="Hide it, too; may be repeated.")] = None,
    show: Annotated[list[str] | None, typer.Option(metavar="ENTITY", help="Do not hide it; may be repeated.")] = None,
    vocabulary: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Phrases, as `gateway vocabulary import` reads them.")
    ] = None,
    language: Annotated[str, typer.Option(help="IETF tag.")] = "en-US",
    tracks: Annotated[
        str | None,
        typer.Option("--track-map", help="inbound=ROLE,outbound=ROLE; inbound is the customer if not given."),
    ] = None,
    swap_channels: Annotated[bool, typer.Option("--swap-channels", help="The agent is on the left channel.")] = False,
    mono_role: Annotated[Role | None, typer.Option(help="Who speaks in recordings with one channel.")] = None,
    customer_id: Annotated[str, typer.Option(help="externalId of the customer.")] = "customer",
    agent_id: Annotated[str, typer.Option(help="externalId of the agent.")] = "agent",
    started_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="When the call began, ISO 8601; else by the file's time.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Channels at a time; else one for each core.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    config_file: Annotated[Path | None, typer.Option("--config", help="TOML file with settings.")] = None,
) -> None:
    """Transcribe recorded calls as the gateway would, as fast as the cores allow; no gateway need run."""
    settings = config.load(config_file)
    wanted = tuple(dict.fromkeys([*(forms or ()), *([Form.JSON] if as_json else ())])) or (Form.TEXT,)
    if detailed_token and redaction_output is not RedactionOutput.UNREDACTED:
        raise UsageError("--detailed-token: words would show what is hidden; add --redaction-output unredacted")
    if settings.redaction.always and redaction_output is not RedactionOutput.REDACTED:
        raise UsageError(f"--redaction-output {redaction_output}: GATEWAY_REDACTION__ALWAYS is set; leave it out")
    word_times = detailed_token or any(form.cues for form in wanted)
    options = DecodeOptions(word_times, vocabulary_of(vocabulary))
    plan = _Plan(
        settings,
        wanted,
        Who(customer_id, agent_id, language, redaction_output, detailed_token),
        Terms(policy_of(hide or (), show or ()), options, language),
        Shelf(output, wanted, settings.export.company_marker) if output is not None else None,
        force,
        _moment(started_at),
        jobs or settings.asr.threads or len(os.sched_getaffinity(0)),
        quiet,
    )
    chosen = choose(files)
    left = _left(plan, chosen, skip=skip_existing)

    def fail(error: UsageError) -> None:
        if len(chosen) == 1:
            raise error
        _complain(str(error))

    items = _items(left, lambda each: roles_of(each, tracks, swapped=swap_channels, mono=mono_role), fail)
    tally = _run(plan, items, fail) if items else Tally()
    tally.failed += len(left) - len(items)
    _summary(plan, tally, len(chosen), len(chosen) - len(left))
    if tally.failed or tally.incomplete:
        raise typer.Exit(1)


def _moment(given: str | None) -> datetime | None:
    if given is None:
        return None
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        raise UsageError(f"--started-at {given!r}: must be like 2026-03-02T14:05:00Z") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _left(plan: _Plan, chosen: Sequence[Chosen], *, skip: bool) -> list[Chosen]:
    """What there is to do, after a check that nothing is overwritten against the user's will."""
    if plan.started_at is not None and len(chosen) > 1:
        raise UsageError(f"--started-at: is one call's; {len(chosen)} recordings were given")
    if plan.shelf is None:
        if plan.force or skip:
            raise UsageError("--force, --skip-existing: are about files; give --output DIR")
        if len(chosen) > 1 or len(plan.forms) > 1 or Form.FEEDS in plan.forms:
            raise UsageError("--output DIR is needed for several recordings, several formats, and feeds")
        return list(chosen)
    unlike(chosen)
    if plan.force:
        return list(chosen)
    missing = {one: plan.shelf.missing(one.relative) for one in chosen}
    there = next((one for one, forms in missing.items() if len(forms) < len(plan.forms)), None)
    if there is not None and not skip:
        raise UsageError(
            f"{plan.shelf.folder}: there is a transcript of {there.path}; --skip-existing goes on, --force overwrites"
        )
    return [one for one, forms in missing.items() if forms]


def _items(
    chosen: Sequence[Chosen], roles: Callable[[Sequence[Track]], Mapping[Track, Role]], fail: _Fail
) -> list[Item]:
    """The recordings that can be opened."""
    items: list[Item] = []
    for one in chosen:
        try:
            source = recording.probe(one.path)
        except UsageError as error:
            fail(error)
        else:
            items.append(Item(one, source, roles(source.tracks)))
    return items


def _run(plan: _Plan, items: Sequence[Item], fail: _Fail) -> Tally:
    # Imported here: the models' runtime takes long to load, and every other command would wait for it.
    from gateway.server.speech import NO_MODEL, VAD_FILE, VAD_MODEL, load_engine
    from gateway.speech.silero import Silero
    from models.store import locate

    settings = plan.settings
    if settings.asr.model == NO_MODEL:
        raise ConfigError("GATEWAY_ASR__MODEL: 'none' transcribes nothing; `gateway models list` shows the recognizers")
    voice = Silero(locate(settings.models_dir, VAD_MODEL) / VAD_FILE)
    engine = load_engine(settings)
    if plan.terms.language.split("-")[0].lower() not in engine.languages:
        known = ", ".join(sorted(engine.languages))
        raise UsageError(f"--language {plan.terms.language}: {engine.name} reads {known}; `gateway models list`")

    printed: list[Transcript] = []

    def finish(item: Item, done: Transcription) -> None:
        path = item.chosen.path
        of = transcript(path, done, plan.who, plan.started_at or _began(path, done.duration_ms))
        if plan.shelf is None:
            printed.append(of)
        else:
            forms = plan.forms if plan.force else plan.shelf.missing(item.chosen.relative)
            plan.shelf.save(of, item.chosen.relative, forms)
        if done.failed:
            _complain(f"{path}: {done.failed} utterances could not be recognised and are missing")

    with Transcriber(voice, engine, settings, plan.terms, plan.jobs) as transcriber:
        tally = Batch(transcriber, plan.jobs, finish, fail).run(items, err, quiet=plan.quiet)
    # Behind the bar, which may be on the same terminal.
    for of in printed:
        _print(plan, of)
    return tally


def _print(plan: _Plan, of: Transcript) -> None:
    if plan.forms == (Form.TEXT,):
        for one in of.done.utterances:
            out.print(line(one, plan.who.redaction), soft_wrap=True)
    else:
        typer.echo(render(plan.forms[0], of), nl=False)


def _began(path: Path, duration_ms: int) -> datetime:
    """A recorder ends its file when the call ends."""
    try:
        ended = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    return ended - timedelta(milliseconds=duration_ms)


def _complain(what: str) -> None:
    err.print(Text.assemble(("error: ", "red"), what), soft_wrap=True)


def _summary(plan: _Plan, tally: Tally, count: int, skipped: int) -> None:
    """For several recordings: to somebody who watches, or if some failed."""
    bad = tally.failed + tally.incomplete
    if count < 2 or plan.quiet or not (err.is_terminal or bad):
        return
    parts = [f"{tally.done} of {count} recordings transcribed"]
    parts += [f"{skipped} were there already"] if skipped else []
    parts += [f"{tally.failed} failed"] if tally.failed else []
    parts += [f"{tally.incomplete} incomplete"] if tally.incomplete else []
    if tally.took_s:
        parts.append(f"{tally.audio_s:.0f} s of audio in {tally.took_s:.0f} s")
    err.print(Text(", ".join(parts)), soft_wrap=True)
