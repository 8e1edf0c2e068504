"""How well speech is heard: where labels come from, and what is reckoned from what was heard."""
