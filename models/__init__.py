"""Model manifest, and the code that fetches, checks and finds models. Weights are never committed."""
