"""Peers' recognizers as scripts, each run by the Python of its own virtual environment (:mod:`benchmarks.peers`).

They import nothing of the gateway. WAV paths (16 kHz, mono, 16 bit) come in, one a line of standard input; for each
goes out a line of JSON: ``{"texts": ["…"], "cpu": seconds of processor time}``, the texts in the order of speech.
"""
