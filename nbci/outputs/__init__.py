"""What cells show, compared with what they showed before, each kind of output in its own way."""
