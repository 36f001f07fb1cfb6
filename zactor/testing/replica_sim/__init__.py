"""The knowledge base's replicas alone, over an order that an adversary decides."""
