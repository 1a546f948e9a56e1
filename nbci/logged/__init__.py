"""Request logs of servers, read back: windows of them, and labels that come later."""
