"""The data plane: everything that computes. Its own install extra; imports no control-plane code."""
