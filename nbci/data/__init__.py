"""What DVC knows of a project's data: its cache, the files it tracks, its remotes."""
