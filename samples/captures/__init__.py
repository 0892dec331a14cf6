"""Photo sets of the ways in which people film, rendered with known cameras and surfaces."""
