"""What is more than a run of digits: a finder for each entity, and what it may know of the conversation."""
