"""The compiled kernel; its twin is the specification, and what type checkers see."""

from gateway._native.reader_py import BROKEN as BROKEN
from gateway._native.reader_py import EOF as EOF
from gateway._native.reader_py import FRAME as FRAME
from gateway._native.reader_py import MAX_MESSAGE as MAX_MESSAGE
from gateway._native.reader_py import TEXT as TEXT
from gateway._native.reader_py import Reader as Reader
