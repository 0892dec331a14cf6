"""Stages of prepare, which all pipelines share."""
