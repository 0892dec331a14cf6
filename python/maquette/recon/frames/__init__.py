"""From what the user gave to numbered, upright pictures."""
