"""Deploy a release: bring it to its place, watch it there, and go back where it fails."""
