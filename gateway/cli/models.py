"""``gateway models``: what models there are, fetch them, check them."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.table import Table

from gateway import config
from gateway.cli.console import err, out, print_json
from gateway.errors import ModelError
from models import manifest, store
from models.fetch import Progress as Report
from models.manifest import Model

__all__ = ["app"]

app = typer.Typer(help="Model weights: listed, fetched once, checked.", no_args_is_help=True)

_NAMES = typer.Argument(default=None, metavar="[NAME]...", show_default=False, help="Models; none: the default ones.")
_JSON = typer.Option(False, "--json", help="Print JSON for scripts.")
_CONFIG = typer.Option(None, "--config", help="TOML file with settings.")


def _models_dir(config_file: Path | None) -> Path:
    return config.load(config_file).models_dir


def _chosen(names: list[str] | None) -> list[Model]:
    if names:
        return [manifest.model(name) for name in dict.fromkeys(names)]
    return [entry for entry in manifest.known().values() if entry.default]


@app.command("list")
def list_models(as_json: bool = _JSON, config_file: Path | None = _CONFIG) -> None:
    """Show what models there are, and which of them are on this machine."""
    models_dir = _models_dir(config_file)
    entries = [(entry, store.present(models_dir, entry)) for entry in manifest.known().values()]
    if as_json:
        print_json([_as_json(models_dir, entry, present) for entry, present in entries])
        return
    table = Table("name", "here", "MB", "licence", "source", "what", box=None, pad_edge=False)
    for entry, present in entries:
        here = "yes" if present else "no"
        table.add_row(entry.name, here, f"{entry.size / 1e6:.1f}", entry.licence, entry.source.label, entry.what)
    out.print(table)


def _as_json(models_dir: Path, entry: Model, present: bool) -> dict[str, object]:
    return {
        "name": entry.name,
        "what": entry.what,
        "licence": entry.licence,
        "source": entry.source.label,
        "default": entry.default,
        "bytes": entry.size,
        "present": present,
        "path": str((models_dir / entry.name).absolute()),
    }


@app.command()
def fetch(names: list[str] | None = _NAMES, as_json: bool = _JSON, config_file: Path | None = _CONFIG) -> None:
    """Download models that are not here yet; those that are here and right are left alone, offline too."""
    models_dir = _models_dir(config_file)
    chosen = _chosen(names)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    fetched: dict[str, bool] = {}
    with Progress(*columns, console=err, transient=True) as bar:
        for entry in chosen:
            task = bar.add_task(entry.name, total=entry.source.size)
            fetched[entry.name] = store.fetch(models_dir, entry, _reporter(bar, task))
            bar.update(task, completed=entry.source.size)
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
    models_dir = _models_dir(config_file)
    problems: dict[str, str | None] = {}
    for entry in _chosen(names):
        try:
            store.verify(models_dir, entry)
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
