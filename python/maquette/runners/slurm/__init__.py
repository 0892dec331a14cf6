"""Jobs of a Slurm cluster: one batch job a step, on folders that its nodes share."""
