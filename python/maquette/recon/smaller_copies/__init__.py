"""Copies of splats and meshes that fit into a limit, for a site; the results stay as they are."""
