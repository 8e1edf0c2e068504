"""Voice activity, endpointing and recognition."""
