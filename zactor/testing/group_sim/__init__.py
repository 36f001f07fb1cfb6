"""Simulated clusters of group engines, and the checkers of their event logs."""
