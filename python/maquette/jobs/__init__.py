"""Jobs as documents: one JSON file a job, the same for every backend. No network here."""
