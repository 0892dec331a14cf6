"""Container images: which one suits a GPU, and building, pushing and checking them."""
