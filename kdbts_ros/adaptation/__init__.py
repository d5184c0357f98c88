"""From a recording of one's own robot to weights that know its camera and its places."""
