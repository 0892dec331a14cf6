"""The data plane: everything that computes. An install extra of its own."""
