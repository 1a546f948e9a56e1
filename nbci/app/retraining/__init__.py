"""Train a released model again: decide, write down why, carry it out, and note what came of it."""
