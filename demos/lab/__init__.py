"""Stories for `zactor lab run`: the exercise of a course on Spread, and nodes in a network."""
