"""Peers' recognizers as scripts, each run by the Python of its own virtual environment (:mod:`benchmarks.peers`).

They import nothing of the gateway. Those for whole files take WAV paths (16 kHz, mono, 16 bit), one a line of standard
input; for each goes out a line of JSON: ``{"texts": ["…"], "cpu": seconds of processor time}``, the texts in the order
of speech. ``*_stream.py`` play live audio and say when each line came; each tells its own format.
"""
