"""The toy's stages."""
