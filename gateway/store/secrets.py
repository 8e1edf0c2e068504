"""Secrets made once in the data directory, and keys derived from settings."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

from gateway.config import Settings
from gateway.errors import ConfigError

__all__ = ["MIN_SETTING_CHARS", "derive", "load_or_create", "resolve", "store_key"]

MIN_SETTING_CHARS = 16


def derive(value: str, purpose: str, nbytes: int = 32) -> bytes:
    """``nbytes`` of key from a setting's string, by HKDF-SHA256 (RFC 5869), for one purpose."""
    info = f"gateway {purpose} v1".encode()
    return HKDF(algorithm=SHA256(), length=nbytes, salt=None, info=info).derive(value.encode("utf-8"))


def load_or_create(path: Path, nbytes: int = 32) -> bytes:
    """The secret in ``path``; made of random bytes on first use, readable by its owner only.

    Several processes may call this at once: all get the bytes of the one that came first.

    Raises:
        ConfigError: the file cannot be read or made, or does not hold ``nbytes`` bytes.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _create(path, secrets.token_bytes(nbytes))
        value = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        msg = f"{path}: cannot be read or made ({reason}); GATEWAY_DATA_DIR must be a directory we may write"
        raise ConfigError(msg) from error
    if len(value) != nbytes:
        msg = f"{path}: holds {len(value)} bytes instead of {nbytes}; restore it, or remove it for a new one"
        raise ConfigError(msg)
    return value


def _create(path: Path, value: bytes) -> None:
    """Write aside, sync, link into place: a link fails where a rename would overwrite the winner's bytes."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(value)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(aside, path)
        except FileExistsError:
            return
    finally:
        aside.unlink()
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def store_key(settings: Settings) -> bytes:
    """The key of unredacted text: ``GATEWAY_STORE_KEY``, else ``store-key`` in the data directory.

    Raises:
        ConfigError: the setting is too short, or the file is unusable.
    """
    return resolve(settings.store_key, "GATEWAY_STORE_KEY", settings.data_dir / "store-key")


def resolve(setting: SecretStr | None, variable: str, path: Path) -> bytes:
    """32 bytes for a secret: derived from its setting, else the file made once in the data directory.

    Args:
        setting: the setting's value, any string of at least 16 characters.
        variable: the setting's variable, for the error, and its purpose in the derivation.
        path: the file used where the setting is unset.

    Raises:
        ConfigError: the setting is too short, or the file is unusable.
    """
    if setting is None:
        return load_or_create(path)
    value = setting.get_secret_value()
    if len(value) < MIN_SETTING_CHARS:
        msg = f"{variable}: needs at least {MIN_SETTING_CHARS} characters; `openssl rand -base64 32` makes one"
        raise ConfigError(msg)
    return derive(value, variable)
