"""A window of data judged: rules over its drift, its schema and its metrics."""
