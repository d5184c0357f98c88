"""What keeps a map from coming, looked for in the order in which a map needs it."""
