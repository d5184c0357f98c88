"""A procedural street world with exact depth, occupancy and visibility."""
