"""Pages and pictures served from a scene: adjust the region, look at results."""
