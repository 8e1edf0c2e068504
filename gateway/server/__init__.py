"""Front door, handshake and the media plane's asyncio shell."""
