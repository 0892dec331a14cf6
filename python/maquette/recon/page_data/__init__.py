"""What the web page needs of a scene: a manifest, small pictures, files that a browser reads."""
