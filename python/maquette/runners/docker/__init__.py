"""Jobs as containers of a Docker engine, here or on another machine."""
