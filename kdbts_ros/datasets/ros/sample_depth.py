"""How many of the 16 bits of a picture's values a camera uses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BITS = (8, 10, 12, 14, 16)


@dataclass
class SampleDepth:
    """What has been seen of a stream's 16-bit values; `bits` is 0 before the first.

    ROS has no encoding for sensors of 10, 12 or 14 bits. Their drivers send 16-bit values of which
    either the upper bits are used or the lower ones, and the latter would be black pictures. The
    largest value seen so far tells which: it is rounded up to a usual number of bits, and never
    shrinks, so that brightness does not flicker.

    fixed: take no more note of what comes, and show what is brighter as white. So each image of a
    recording looks the same whichever was read before.
    """

    bits: int = 0
    fixed: bool = False

    def to_bytes(self, values: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
        """The upper eight of the bits used, by these and all values before."""
        if not self.fixed:
            largest = int(values.max(initial=0))
            self.bits = max(self.bits, next(bits for bits in BITS if largest < 1 << bits))
        shifted = values >> max(self.bits - 8, 0)
        return np.minimum(shifted, 255).astype(np.uint8) if self.fixed else shifted.astype(np.uint8)
