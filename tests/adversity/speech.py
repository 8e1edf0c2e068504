"""Speech for the wire, sent faster than it was spoken."""

from __future__ import annotations

from functools import cache

import soundfile

from gateway._native import mulaw
from tests.harness import SAMPLE, Twilio

FRAME = 160


@cache
def spoken(channel: int = 1, seconds: float = 4.0) -> bytes:
    """μ-law of the sample call's channel, from its first speech on."""
    pcm, rate = soundfile.read(SAMPLE, dtype="int16")
    assert rate == 8000
    track = pcm[:, channel]
    first = int((abs(track.astype(int)) > 1500).argmax())
    return bytes(mulaw.encode(track[first : first + int(8000 * seconds)].copy()))


async def say(twilio: Twilio, at_ms: int, ulaw: bytes, track: str = "inbound") -> int:
    """Send μ-law as media from ``at_ms`` on; where it ends."""
    for first in range(0, len(ulaw), FRAME):
        payload = ulaw[first : first + FRAME]
        await twilio.media(at_ms, payload, track)
        at_ms += len(payload) // 8
    return at_ms
