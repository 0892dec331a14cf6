"""What a stage is, and how a list of them is run, skipped and resumed. Standard library only."""
