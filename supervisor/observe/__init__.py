"""What happened here, for people and checkers."""
