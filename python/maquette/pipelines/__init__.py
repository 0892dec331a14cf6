"""jobs/<pipeline>/*.yaml + settings → JobSpec. Pure: no network, no files written."""
