"""Turn a video or a set of photos into a 3D model."""
