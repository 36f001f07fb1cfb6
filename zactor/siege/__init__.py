"""The siege: a lab under random faults while everything in it works, and what is found then."""
