"""Runs of digits in recognised text: spoken, written or misheard; what they are, and which are no secret."""
