"""The scene folder: the only interface between steps, backends and tools. Needs numpy only."""
