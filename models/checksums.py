"""Checksums that the owner has trusted, in ``MODELS_DIR/checksums.json``: model → file → sha256.

Only files whose checksum no manifest gives are recorded here; what is recorded is as binding as a manifest.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import tempfile
from pathlib import Path

from gateway.errors import ConfigError

__all__ = ["RECORD", "read", "record"]

RECORD = "checksums.json"

_SHA256 = re.compile(r"[0-9a-f]{64}")


def read(models_dir: Path) -> dict[str, dict[str, str]]:
    """What is recorded; nothing if there is no record.

    Raises:
        ConfigError: the record cannot be read, or is not one. It is not passed over: then anything would be trusted.
    """
    path = models_dir / RECORD
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise ConfigError(msg) from error
    except ValueError as error:
        msg = f"{path} is not valid JSON; mend it, or remove it and fetch the models in it again"
        raise ConfigError(msg) from error
    if not _is_record(found):
        form = '{"model": {"file": "sha256"}}'
        msg = f"{path} must hold {form}; mend it, or remove it and fetch the models in it again"
        raise ConfigError(msg)
    record: dict[str, dict[str, str]] = found
    return record


def record(models_dir: Path, name: str, sums: dict[str, str]) -> None:
    """Add checksums of the model ``name`` by file name; safe beside others who do.

    Raises:
        ConfigError: the record there is cannot be read.
        OSError: it cannot be written.
    """
    with (models_dir / f".{RECORD}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = read(models_dir)
        found[name] = found.get(name, {}) | sums
        with tempfile.NamedTemporaryFile(
            "w", dir=models_dir, prefix=f".{RECORD}.", delete=False, encoding="utf-8"
        ) as new:
            json.dump(found, new, indent=2, sort_keys=True)
            new.write("\n")
            new.flush()
            os.fsync(new.fileno())
        # As readable as the models: the gateway may run as another user than the one who fetches.
        Path(new.name).chmod(0o644)
        Path(new.name).replace(models_dir / RECORD)


def _is_record(found: object) -> bool:
    return isinstance(found, dict) and all(
        isinstance(sums, dict)
        and all(isinstance(digest, str) and _SHA256.fullmatch(digest) for digest in sums.values())
        for sums in found.values()
    )
