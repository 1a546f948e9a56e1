"""Source text that is sent to the kernels of users; nothing imports it."""
