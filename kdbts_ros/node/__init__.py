"""The ROS 2 node: converts, schedules and reports; no tensor arithmetic."""
