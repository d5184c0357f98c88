"""Pictures of the worst frames, drawn only for those that may stay."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kdbts_ros.pictures import Rgb


class Gallery:
    """Keeps the pictures of the `size` frames that scored lowest."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: list[tuple[float, str, Rgb]] = []

    def offer(self, name: str, score: float, draw: Callable[[], Rgb]) -> None:
        """Draw the frame if it is among the worst so far; one without a score never is."""
        if not np.isfinite(score) or self._size < 1:
            return
        if len(self._kept) == self._size and score >= self._kept[-1][0]:
            return
        self._kept.append((score, name, draw()))
        self._kept.sort(key=lambda item: item[0])
        del self._kept[self._size :]

    def worst(self) -> list[tuple[str, float]]:
        """Names and scores, the worst first."""
        return [(name, score) for score, name, _ in self._kept]

    def pictures(self) -> list[tuple[str, Rgb]]:
        """Names and pictures, the worst first."""
        return [(name, picture) for _, name, picture in self._kept]
