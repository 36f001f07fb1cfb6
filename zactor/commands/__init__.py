"""What can be said, to shell, console and scripts alike."""
