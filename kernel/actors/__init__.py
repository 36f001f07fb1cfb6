"""What an author of actors touches."""
