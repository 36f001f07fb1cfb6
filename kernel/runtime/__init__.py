"""Actors, mailboxes, dispatchers and refs."""
