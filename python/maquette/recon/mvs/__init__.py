"""Dense stereo: source views, depth maps by PatchMatch, their filtering and fusion to points."""
