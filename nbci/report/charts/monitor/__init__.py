"""The pictures of a monitor's page."""
