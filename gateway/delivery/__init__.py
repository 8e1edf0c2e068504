"""From a recognised utterance to the store and the webhook, in order."""
