"""Features and matches by networks, for pictures whose SIFT features do not agree."""
