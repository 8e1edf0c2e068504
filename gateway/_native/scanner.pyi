"""The compiled kernel; its twin is the specification, and what type checkers see."""

from gateway._native.scanner_py import INBOUND as INBOUND
from gateway._native.scanner_py import OUTBOUND as OUTBOUND
from gateway._native.scanner_py import Media as Media
from gateway._native.scanner_py import decoded as decoded
from gateway._native.scanner_py import scan as scan
