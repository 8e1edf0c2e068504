"""Recordings through the stages of a live call, and their transcripts in the forms of the gateway."""
