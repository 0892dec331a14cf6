"""Settings: defaults < maquette.yaml < environment and .env < command line."""
