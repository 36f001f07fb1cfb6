"""Machines without I/O: everything here decides, nothing here acts."""
