"""Backends. A runner exists when it passes the shared contract suite in `tests/contract/`."""
