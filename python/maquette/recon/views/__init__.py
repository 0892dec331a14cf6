"""Photographs with their cameras and masks, read when they are needed: what algorithms work on."""
