"""Serve released models: bring them here, answer requests, follow their stages."""
