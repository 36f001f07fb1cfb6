"""What may be asked of a node, and how it survives who asked."""
