"""Sockets, keys and clocks: the shell round the machines."""
