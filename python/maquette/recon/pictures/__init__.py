"""Pictures that show a result: rendered by ray casting, without a GPU or a display."""
