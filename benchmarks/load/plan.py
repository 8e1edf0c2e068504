"""What a load is to be, and what it may be at the most."""

from __future__ import annotations

from dataclasses import dataclass, field
from ssl import SSLContext
from urllib.parse import urlsplit

from benchmarks.load.sender_py import MAX_TOGETHER
from benchmarks.speech.labels import Ends
from gateway.errors import UsageError
from gateway.peers.emitter import Form, Manner
from gateway.peers.recording import Recording

__all__ = ["MAX_CALLS", "MAX_SECONDS", "Plan"]

MAX_CALLS = 5000
MAX_SECONDS = 3600
MAX_GAIN_DB = 24
MAX_PROBES = 100


@dataclass(frozen=True, slots=True)
class Plan:
    """A run. ``ramp`` is the time over which calls begin, ``duration`` how long each lasts, in seconds.

    ``transcripts`` tells whether any are awaited: a gateway with model ``none`` makes none. Each call is up to
    ``gain_db`` whole decibels louder or quieter. ``gated`` calls are never started. ``coalesced`` writes both tracks'
    messages at once. ``manner`` is how the wire behaves, whose seed is not used; ``odd`` sends payloads of any length.
    ``probe`` times a second the API is asked something, all through the run. ``together`` frames of each track are one
    write, coalesced, which leaves when the last of them is due.
    """

    url: str
    api_id: str
    api_secret: str
    recording: Recording
    ends: Ends
    calls: int
    ramp: float
    duration: float
    webhook_port: int = 0
    seed: int = 1
    transcripts: bool = True
    context: SSLContext | None = None
    gain_db: int = 0
    gated: bool = False
    coalesced: bool = False
    manner: Manner = field(default_factory=Manner)
    odd: bool = False
    probe: float = 0.0
    together: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.calls <= MAX_CALLS:
            raise UsageError(f"--calls {self.calls}: must be 1 to {MAX_CALLS}")
        if not 0 <= self.ramp <= MAX_SECONDS or not 1 <= self.duration <= MAX_SECONDS:
            raise UsageError(f"--ramp and --duration must be at most {MAX_SECONDS} s, --duration at least 1")
        if not 0 <= self.gain_db <= MAX_GAIN_DB:
            raise UsageError(f"--gain {self.gain_db}: must be 0 to {MAX_GAIN_DB} dB")
        if self.manner.form is not Form.TWILIO:
            raise UsageError("a load speaks Twilio's form only")
        if not 0 <= self.probe <= MAX_PROBES:
            raise UsageError(f"--probe {self.probe:g}: must be 0 to {MAX_PROBES} a second")
        if not 1 <= self.together <= MAX_TOGETHER:
            raise UsageError(f"--together {self.together}: must be 1 to {MAX_TOGETHER} frames")
        if not 0 <= self.manner.drop <= 1:
            raise UsageError(f"--gaps {self.manner.drop}: must be 0 to 1")
        manner = self.manner
        times = {
            "--first-timestamp": manner.first_timestamp_ms or 0,
            "--jitter": manner.jitter_ms,
            "--stall-at": manner.stall_at_ms,
            "--stall": manner.stall_ms,
        }
        for option, ms in times.items():
            if not 0 <= ms <= MAX_SECONDS * 1000:
                raise UsageError(f"{option}: {ms} ms must be 0 to {MAX_SECONDS * 1000}")
        if manner.stall_at_ms and (not manner.stall_ms or manner.stall_at_ms >= self.duration * 1000):
            raise UsageError("--stall-at: must lie within --duration, and --stall tells for how long")

    @property
    def native(self) -> bool:
        """Whether the sender can write to the sockets: under TLS it cannot."""
        return urlsplit(self.url).scheme == "http"
