"""Places where released models run: processes, containers, services of a cluster."""
