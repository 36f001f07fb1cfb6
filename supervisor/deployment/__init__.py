"""Make this node what the knowledge base says."""
