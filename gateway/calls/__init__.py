"""Calls: Twilio's messages, the state of a call, and the registry of live calls."""
