"""Ground seen from above: maps of splats and photos, elevation, and a descent towards it."""
