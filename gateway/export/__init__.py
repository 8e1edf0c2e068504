"""Feeds: every day's messages as files, by account, feed, format, day and hour."""
