"""The manifest: which models there are, where each comes from, and what its files must be.

``manifest.toml`` holds a ``[[model]]`` a model with a ``[model.source]`` and its ``[[model.member]]`` files. A source
is a wheel of a package registry (``kind = "pypi"``), out of which members are read, or a folder on the web
(``kind = "url"``), in which each member is a file.

The owner's own list, ``models.toml`` in the models' folder, has the same form; an entry there replaces the shipped one
of that name. In it a member's checksum may be left out: it is filled from what :mod:`models.checksums` has recorded,
and until then the model is neither fetched without being asked to trust what comes, nor loaded.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from gateway.errors import ConfigError

from . import checksums

__all__ = [
    "LOCAL",
    "MANIFEST",
    "Member",
    "Model",
    "PypiSource",
    "UrlSource",
    "catalogue",
    "find",
    "known",
    "model",
    "read",
]

MANIFEST = Path(__file__).with_name("manifest.toml")

LOCAL = "models.toml"
"""The owner's own list, in the models' folder."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$")]
# As PyPI has them: what pip reads as neither an option nor an address.
Project = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Version = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.!+_-]*$")]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]
# No user, no query: neither has a place in messages.
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^/?#@\s]+(/[^?#@\s]*)?$")]

# The last three parts of a wheel's file name (PEP 427): python tag, abi tag, platform tag.
_WHEEL_PLATFORM = re.compile(r"-[^-]+-[^-]+-([^-]+)\.whl$")


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PypiSource(_Entry):
    """One wheel of one version of a package; ``size`` in bytes."""

    kind: Literal["pypi"]
    project: Project
    version: Version
    file: FileName
    sha256: Sha256
    size: int = Field(gt=0)

    @property
    def platform(self) -> str:
        """The wheel's platform tag, as ``pip download --platform`` takes it (``any`` for a pure wheel)."""
        found = _WHEEL_PLATFORM.search(self.file)
        return found.group(1) if found else "any"

    @property
    def label(self) -> str:
        """What a person reads."""
        return f"PyPI {self.project} {self.version}"


class UrlSource(_Entry):
    """A folder on the web; the members are files in it."""

    kind: Literal["url"]
    url: Url

    @property
    def label(self) -> str:
        """What a person reads."""
        return self.url


class Member(_Entry):
    """A file of the model: ``path`` inside the source (none: ``file``), ``size`` in bytes.

    ``sha256`` and ``size`` are None where nobody has filled them in yet.
    """

    path: str | None = None
    file: FileName
    sha256: Sha256 | None = None
    size: int | None = Field(default=None, gt=0)


class Model(_Entry):
    """A model: a folder of that name which holds its members.

    ``family`` says which code runs it; ``languages`` are the subtags it reads; ``tokens_per_second`` is the most that a
    second of audio may give (a script that the tokenizer was not made for takes more tokens a word); ``terms`` says in
    a line what a licence asks for that is no free one.
    """

    name: Name
    family: Literal["moonshine", "silero-vad"]
    what: str
    licence: str
    terms: str | None = None
    languages: tuple[Language, ...] = ()
    tokens_per_second: float = Field(default=6.5, gt=0, le=50)
    default: bool = False
    source: Annotated[PypiSource | UrlSource, Field(discriminator="kind")]
    member: tuple[Member, ...] = Field(min_length=1)

    @property
    def size(self) -> int:
        """Bytes of all members whose size is known."""
        return sum(member.size or 0 for member in self.member)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Members whose checksum nobody has filled in."""
        return tuple(member.file for member in self.member if member.sha256 is None)

    def filled(self, sums: dict[str, str]) -> Self:
        """The model with checksums by file name put where there are none."""
        members = tuple(
            member.model_copy(update={"sha256": sums[member.file]})
            if member.sha256 is None and member.file in sums
            else member
            for member in self.member
        )
        return self.model_copy(update={"member": members})

    @model_validator(mode="after")
    def _distinct_files(self) -> Self:
        if len({member.file for member in self.member}) != len(self.member):
            msg = f"two members of {self.name} have the same file name"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _files_of_the_family(self) -> Self:
        if self.family != "moonshine":
            return self
        missing = {"encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin"} - {m.file for m in self.member}
        if missing:
            msg = (
                f"{self.name} lacks {', '.join(sorted(missing))}: of the Moonshine models those run that are an "
                "encoder and a merged decoder; streaming ones and other architectures do not"
            )
            raise ValueError(msg)
        if not self.languages:
            msg = f"{self.name} names no languages; a recognizer reads one at least, as in languages = ['en']"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _members_of_a_wheel(self) -> Self:
        if self.source.kind == "pypi" and not all(m.path and m.sha256 and m.size for m in self.member):
            msg = f"members of {self.name} need path, sha256 and size: they are read out of a wheel"
            raise ValueError(msg)
        return self


class _Manifest(_Entry):
    model: tuple[Model, ...]


def read(path: Path) -> dict[str, Model]:
    """Read a manifest file, models by name in the file's order.

    Raises:
        ConfigError: it cannot be read, or an entry is not what this module describes.
    """
    raw: dict[str, Any] = {}
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        models = _Manifest.model_validate(raw).model
    except OSError as error:
        msg = f"model manifest {path} cannot be read: {error.strerror}"
        raise ConfigError(msg) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"model manifest {path} is not valid TOML: {error}"
        raise ConfigError(msg) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        msg = f"model manifest {path}: {_place(raw, first['loc'])}{first['msg'].removeprefix('Value error, ')}"
        raise ConfigError(msg) from error
    return {entry.name: entry for entry in models}


def _place(raw: dict[str, Any], where: tuple[int | str, ...]) -> str:
    """Which entry and field is wrong, for a message: ``model tiny: licence: ``."""
    match where:
        case ("model", int(number), *fields) if isinstance(entry := raw["model"][number], dict):
            named = [f"model {entry.get('name', f'number {number + 1}')}", *fields]
        case _:
            named = list(where)
    return "".join(f"{part}: " for part in named)


@cache
def known() -> dict[str, Model]:
    """The models of the manifest that comes with the gateway, by name."""
    return read(MANIFEST)


def catalogue(models_dir: Path) -> dict[str, Model]:
    """The shipped models and the owner's own, with the checksums recorded in ``models_dir``.

    Raises:
        ConfigError: the owner's list or the record cannot be read.
    """
    local = models_dir / LOCAL
    entries = known() | (read(local) if local.exists() else {})
    recorded = checksums.read(models_dir)
    return {name: entry.filled(recorded.get(name, {})) for name, entry in entries.items()}


def find(models_dir: Path, name: str) -> Model:
    """The entry of that name in :func:`catalogue`.

    Raises:
        ConfigError: there is none; the message lists those there are.
    """
    return _pick(catalogue(models_dir), name)


def model(name: str) -> Model:
    """The shipped entry of that name.

    Raises:
        ConfigError: there is none; the message lists those there are.
    """
    return _pick(known(), name)


def _pick(entries: dict[str, Model], name: str) -> Model:
    try:
        return entries[name]
    except KeyError:
        msg = f"there is no model {name!r}; there are {', '.join(entries)}"
        raise ConfigError(msg) from None
