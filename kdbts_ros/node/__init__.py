"""The ROS side: converts messages, schedules frames, reports; the arithmetic is in `density`."""
