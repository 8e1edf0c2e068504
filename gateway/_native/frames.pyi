"""The compiled kernel; its twin is the specification, and what type checkers see."""

from gateway._native.frames_py import BINARY as BINARY
from gateway._native.frames_py import BROKEN as BROKEN
from gateway._native.frames_py import CLOSE as CLOSE
from gateway._native.frames_py import CONTINUATION as CONTINUATION
from gateway._native.frames_py import NEED as NEED
from gateway._native.frames_py import PING as PING
from gateway._native.frames_py import PONG as PONG
from gateway._native.frames_py import TEXT as TEXT
from gateway._native.frames_py import Frame as Frame
from gateway._native.frames_py import parse as parse
from gateway._native.frames_py import unmasked as unmasked
