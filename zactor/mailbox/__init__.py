"""Groups for programs."""
