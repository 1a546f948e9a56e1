"""The pictures of a sweep: its trials over time, over their parameters, and against each other."""
