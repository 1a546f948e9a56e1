"""Private workspaces: a project's files in a folder of their own, for runs beside the user's."""
