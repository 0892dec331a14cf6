"""What a method is, as data: its steps, their stages and options. Standard library only."""
