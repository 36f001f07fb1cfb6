"""Exactly-once transfer between two incarnations: machines without I/O."""
