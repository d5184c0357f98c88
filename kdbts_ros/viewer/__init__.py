"""What a robot saw and the node made of it, on one timeline of the rerun viewer."""
