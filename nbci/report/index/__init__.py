"""The parts of the run's page."""
