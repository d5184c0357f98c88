"""Cases that once fell, by target and number: each is fed again with every run of the tests."""

FOUND: dict[str, tuple[int, ...]] = {
    "image files": (476,),
    "mcap": (2250,),
    "metrics of a run": (4, 21),
}
