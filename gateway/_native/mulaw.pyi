"""The compiled kernel; its twin is the specification, and what type checkers see."""

from gateway._native.mulaw_py import decode as decode
from gateway._native.mulaw_py import encode as encode
