"""Simulated knowledge bases, and the checkers of their event logs."""
