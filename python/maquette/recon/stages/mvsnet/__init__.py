"""Stages of learned multi-view stereo."""
