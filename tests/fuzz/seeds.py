"""First inputs for the fuzzer, one of each kind: ``python -m tests.fuzz.seeds`` writes them into the corpus."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.run import CORPUS
from tests.fuzz.target import rewrapped
from tests.native.line import SID, media
from tests.native.test_scanner import REAL, message

__all__ = ["SEEDS", "main"]

TEXT, CONTINUATION, BINARY, CLOSE, PING = 1, 0, 2, 8, 9
NO_KEY = bytes(4)


def _wire(*texts: bytes) -> bytes:
    return b"".join(rewrapped(TEXT, True, text, NO_KEY) for text in texts)


_TWICE = message().replace(b'"chunk"', b'"track":"inbound","chunk"')
_CALL = _wire(b"start", media(100, b"\x00\x80" * 9), media(100, b"\x01" * 8, "outbound"), media(121, b"a"), b"stop")
_FRAGMENTS = (
    rewrapped(TEXT, False, b"sta", b"mask") + rewrapped(PING, True, b"", NO_KEY) + rewrapped(0, True, b"rt", NO_KEY)
)

SEEDS = {
    "frames": [
        b"\x00\xff" + rewrapped(opcode, fin, bytes(size), key)
        for opcode, fin, size, key in (
            (TEXT, True, 3, b"mask"), (TEXT, False, 9, NO_KEY), (CONTINUATION, True, 130, NO_KEY),
            (BINARY, True, 8, NO_KEY), (CLOSE, True, 2, NO_KEY), (PING, True, 0, NO_KEY),
        )
    ],
    "scanner": [
        REAL, message(), message(payload=""), message(payload="AAA=", track="inbound"), _TWICE,
        b'{"event":"media","media":{"payload":"/w=="}}', b'{"event":"stop"}',
        b'{"event":"\\u006dedia","media":[1.5e3]}',
        b'{"event":"media","media":{"payload":"","timestamp":7},"streamSid":null}',
    ],
    "reader": [
        head + stream
        for head in (b"\0\0\0\xff", b"\7\1\0\1", b"\5\44\x60\2")
        for stream in (_CALL, _FRAGMENTS + _CALL, _CALL + b"\x81\x05no", _wire(media(0, sid=b"M" * 64), media(0)[:-1]))
    ] + [
        b"\1\0\0\1" + _wire(media(50, bytes(20), sid=SID)) + b"\x81\xfe\x00",
        b"\0\0\0\xff" + _wire(bytes(6000), media(0), bytes(300)), b"\0\0\0\1" + _wire(media(0, bytes(4000))),
    ],
    "track": [
        b"\3\3\5\0\0\0\0\0" + b"".join(bytes([what, 20 * i, 0, 0, 160, 20]) for i, what in enumerate((0, 0, 4, 7, 0)))
        + b"\x00\xff\x7f\x04\xa0\x14" + b"\0\0\x80\3\xa0\1" + b"\x09\0\0\0\0\0" + b"\7\xff\0\0\0\0",
        b"\1\2" + b"\5\0\0\0\0\0" + b"\0\x14\0\0\xa0\1" * 3 + b"\6\0\0\0\0\0" + b"\0\x14\0\0\xa0\1",
    ],
}  # fmt: skip


def main() -> None:
    """Write them."""
    for target, inputs in SEEDS.items():
        folder = Path(CORPUS / target)
        folder.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(inputs):
            (folder / f"seed-{number:02}").write_bytes(data)


if __name__ == "__main__":
    main()
