"""The recordings that benchmarks play: one that is part of the project, and those that may lie beside it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["RECORDING", "ROOT", "SAMPLE", "SPEECH"]

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "samples" / "support-call.wav"
SPEECH = ROOT.parent / "shared" / "speech"
RECORDING = SPEECH / "calls" / "auto-repairs-40.wav"
"""A call of two people."""
