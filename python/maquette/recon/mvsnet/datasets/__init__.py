"""Data sets with true depth, in the folders that the field knows."""
