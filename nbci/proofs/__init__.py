"""Proofs: what the steps of two runs of one plan gave, compared."""
