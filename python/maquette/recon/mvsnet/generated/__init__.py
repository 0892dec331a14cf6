"""Scenes made up from a seed, with exact depth, to train multi-view stereo networks on."""
