"""From a trained signed distance field to a triangle mesh on disk."""
