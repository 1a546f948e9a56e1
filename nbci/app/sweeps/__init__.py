"""Carry out a search: trials side by side, each a run in a workspace of its own."""
