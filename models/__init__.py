"""Model manifest, and the code that fetches, checks and loads models."""
