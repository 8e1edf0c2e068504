"""What is kept: accounts, keys, calls, messages, delivery records."""
