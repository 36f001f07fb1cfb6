"""Port for programs written for Spread: its session protocol over the sessions of a node."""
