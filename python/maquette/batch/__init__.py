"""Many scenes, one command: a list of them, and the queue that runs it."""
