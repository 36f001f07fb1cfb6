"""The theory every node holds: terms, queries, transactions, the store, the replica."""
