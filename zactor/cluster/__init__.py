"""Node processes on this machine."""
