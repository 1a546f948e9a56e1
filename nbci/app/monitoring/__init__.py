"""Monitors as use cases: a window is read, measured, judged and told."""
