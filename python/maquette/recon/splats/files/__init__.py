"""Files of splats, one module a format. All take and give Gaussians in COLMAP's world."""
