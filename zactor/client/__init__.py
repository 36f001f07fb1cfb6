"""A program outside of the cluster."""
