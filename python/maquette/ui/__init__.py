"""What a person sees: text, tables, progress; and the same as JSON for programs."""
