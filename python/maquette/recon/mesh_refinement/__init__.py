"""Move a mesh to where the photos agree on it: photometric refinement."""
