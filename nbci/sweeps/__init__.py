"""Searches over parameters: the space, the record of a sweep, what its trials came to; pure."""
