"""Settings: defaults < the scene's < maquette.yaml < environment and .env < command line."""
