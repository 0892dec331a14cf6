"""Real places: positions of photos, control points, scale, up, and where the world lies on Earth."""
