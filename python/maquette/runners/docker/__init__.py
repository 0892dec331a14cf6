"""Jobs as containers of a Docker daemon, here or on another machine."""
