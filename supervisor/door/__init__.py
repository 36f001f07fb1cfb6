"""Who asks at the door."""
