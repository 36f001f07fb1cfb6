"""The knowledge base as a service: its disk, its group, those who wait for it."""
