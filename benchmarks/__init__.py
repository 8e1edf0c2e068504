"""Benchmarks, one file a question, and the load generator."""
