"""Self-hosted media gateway that turns live Twilio calls into text.

The folders are the stages of the way of the data, in order: ``server`` (front door and media plane),
``calls``, ``speech``, ``text``, ``delivery``, ``store``. ``api`` and ``cli`` stand beside them.
"""

from gateway._version import __version__

__all__ = ["__version__"]
