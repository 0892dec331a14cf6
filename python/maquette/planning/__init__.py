"""Settings + jobs/<pipeline>/*.yaml → JobSpec. Pure: no network, no files written."""
