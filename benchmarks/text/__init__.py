"""The labelled sets of spoken secrets and of names, and how well they are hidden or found."""
