"""Structure from motion: features, matches, poses, undistortion, region."""
