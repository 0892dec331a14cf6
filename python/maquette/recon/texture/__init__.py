"""Texture of a mesh from posed photographs: views, levelling, atlas, files."""
