"""The shell commands and the console."""
