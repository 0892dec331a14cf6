"""Dense depth from posed photos, fused to points, and a textured mesh of them."""
