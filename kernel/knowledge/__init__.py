"""The language of facts: terms, queries, and the theory that holds them."""
