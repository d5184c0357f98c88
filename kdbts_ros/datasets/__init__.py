"""Drives of posed images: KITTI, rosbag2, and a synthetic world."""
