"""Carry steps of runs out again, or beside them: proofs, audits, baselines, seeds, blame."""
