"""The native neural-surface engine; `engine` is its public face."""
