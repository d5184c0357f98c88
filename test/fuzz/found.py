"""Cases that once fell, by target and number: each is fed again with every run of the tests."""

FOUND: dict[str, tuple[int, ...]] = {
    "KITTI odometry": (2761,),
    "KITTI raw": (3912,),
    "TUM RGB-D": (519,),
    "compressed recordings": (4908,),
    "image files": (476,),
    "mcap": (2250,),
    "messages": (991, 1691, 7059),
    "metrics of a run": (4, 21),
}
