"""The grammar of all that travels: values only."""
