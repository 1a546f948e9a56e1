"""What the columns of data look like, and how far those of other data are away."""
