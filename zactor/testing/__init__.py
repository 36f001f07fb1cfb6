"""Test helpers for users and for zactor's own tests."""
