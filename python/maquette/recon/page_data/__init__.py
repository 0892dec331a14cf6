"""What the web page needs of a scene: a manifest, small pictures, and files that a browser reads."""
