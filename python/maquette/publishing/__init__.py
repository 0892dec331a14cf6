"""Share a scene: a static site in a folder or a bucket, or one file; and take it back."""
