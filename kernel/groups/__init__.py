"""The group engine: membership, order and groups as machines without I/O."""
