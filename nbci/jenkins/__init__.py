"""A Jenkins controller, seen from a developer's machine: set up, kept in step, run, watched."""
