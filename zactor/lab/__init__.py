"""Hosts whose cables can be pulled."""
