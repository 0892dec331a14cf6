"""How good a scene's result is: against ground truth where there is one, and held-out photos."""
