"""A scene to and from any S3 bucket: list → diff → plan → apply, each a value of its own."""
