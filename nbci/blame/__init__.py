"""Why a metric moved: what differs between two runs, and how the change is shared out."""
