"""Bytes: the codec of frames and of payloads."""
