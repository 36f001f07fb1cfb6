"""The group engine as a service of this node."""
