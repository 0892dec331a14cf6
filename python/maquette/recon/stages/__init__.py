"""Stages: resumable units inside a step, each a module with one `STAGE`."""
