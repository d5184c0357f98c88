"""The method: from posed images to density, occupancy, depth and novel views. No ROS here."""
