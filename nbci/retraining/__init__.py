"""Retraining that is explained: why, whether it may start now, and what came of it; all pure."""
