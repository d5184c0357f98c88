"""Which CameraInfo belongs to an image: the joining of the two topics of one camera.

The contract:

* The CameraInfo of the image's own stamp, in whichever order the two arrive.
* Else the last earlier one: the newest that is not stamped later than the image. One without a
  stamp counts as earlier from its arrival on, for the images that arrive afterwards.
* An image waits for the CameraInfo of its own stamp only where such usually come, which the newest
  images tell: at most `patience`, and no longer than until a later CameraInfo has come, since
  publishers send in order. Where they do not come (said once and latched, at a lower rate, without
  stamps) it takes the last earlier one at once; until that is known, after `UNTOLD_PATIENCE`.
* Where every CameraInfo is stamped later than the image (said once, at a time of another clock),
  the first of them holds, but never where images have one of their own stamp: another image's may
  differ.
* Where several qualify, those of the image's frame and size go first: two cameras may share a
  topic. Frames alone decide nothing, since drivers leave them empty or name others.
* A new epoch of time forgets what belongs to the past, but keeps the last CameraInfo where images
  had none of their own: a latched one is not said again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from kdbts_ros.node.inputs.admission import JUMP_NS, LEAP_NS
from kdbts_ros.node.inputs.camera_messages import Calibration
from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.drops import Dropped

# More than arrive while an image waits for its pose; images: more than may wait.
KEPT = 256
# Whether images have a CameraInfo of their own stamp is judged by so many of the newest...
WINDOW = 8
# ... and by that many imagined ones that had, as it is at start with most drivers.
PRIOR = 3
# How long an image waits before any had a CameraInfo of its own stamp, seconds.
UNTOLD_PATIENCE = 0.1

Size = tuple[int, int]


@dataclass(frozen=True)
class Reading:
    """A CameraInfo as it arrived: the calibration, or the sentence why it is none.

    `stamp_ns` is 0 where it has no stamp.
    """

    stamp_ns: int
    frame_id: str
    calibration: Calibration | None
    fault: str = ""

    def fits(self, size: Size | None) -> bool:
        """Whether an image of this (width, height), None if unknown, may be meant."""
        if self.calibration is None or size is None:
            return True
        camera = self.calibration.lens.camera
        return size == (camera.width, camera.height)


@dataclass(frozen=True)
class _Kept:
    """A reading and its place in the order of arrival of both topics."""

    number: int
    reading: Reading


@dataclass
class _Image:
    """An image that has arrived; `own` is the CameraInfo of its stamp, `missed` that none came."""

    number: int
    stamp_ns: int
    frame_id: str
    size: Size | None
    own: Reading | None = None
    missed: bool = False

    def offer(self, reading: Reading) -> None:
        """Take a reading of the image's stamp unless the one at hand suits it better."""
        if self.own is None or self._suits(reading) >= self._suits(self.own):
            self.own = reading

    def _suits(self, reading: Reading) -> tuple[bool, bool]:
        return reading.frame_id == self.frame_id, reading.fits(self.size)

    def follows(self, kept: _Kept) -> bool:
        """Whether a reading is earlier than the image."""
        stamp_ns = kept.reading.stamp_ns
        return stamp_ns < self.stamp_ns if stamp_ns > 0 else kept.number < self.number


class Calibrations:
    """What came on a camera_info topic lately, and the images it was needed for.

    Args:
        topic: for messages.
    """

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._arrived = 0
        self._readings: deque[_Kept] = deque(maxlen=KEPT)
        self._images: dict[int, _Image] = {}

    def __len__(self) -> int:
        return len(self._readings) + len(self._images)

    @property
    def joined(self) -> str:
        """How images find theirs, in words."""
        if not self._readings:
            return "none came"
        return "the one of the same stamp" if self._pairs() else "the last earlier one"

    def add(self, reading: Reading) -> None:
        """A CameraInfo arrived."""
        # Said twice: a latched publisher reaches two subscriptions. Without stamps an older one may
        # hold again.
        known = list(self._readings) if reading.stamp_ns > 0 else list(self._readings)[-1:]
        if any(kept.reading == reading for kept in known):
            return
        self._readings.append(_Kept(self._next(), reading))
        image = self._images.get(reading.stamp_ns)
        if image is not None:
            image.offer(reading)

    def expect(self, stamp_ns: int, frame_id: str, size: Size | None) -> None:
        """An image arrived whose CameraInfo will be asked for."""
        if stamp_ns in self._images:
            return
        image = _Image(self._next(), stamp_ns, frame_id, size)
        for kept in self._readings:
            if kept.reading.stamp_ns == stamp_ns:
                image.offer(kept.reading)
        self._images[stamp_ns] = image
        if len(self._images) > KEPT:
            del self._images[next(iter(self._images))]

    def of(self, stamp_ns: int, waited: float, patience: float) -> Reading:
        """The CameraInfo of an image that was expected.

        Args:
            waited: since the image arrived, seconds.
            patience: how long it may wait at most, seconds.

        Raises:
            Dropped: no_camera_info, while it may still come or where there is none.
        """
        image = self._images.get(stamp_ns)
        if image is None:
            raise self._none("more images came since than are remembered")
        if image.own is not None:
            return image.own
        candidates = self._candidates(image)
        if not candidates:
            raise self._none(f"no camera_info on {self._topic}")
        earlier = [kept for kept in candidates if image.follows(kept)]
        if self._may_come(image, candidates, bool(earlier), waited, patience):
            raise self._none(f"the camera_info of stamp {stamp_ns / 1e9:.3f} is not there yet")
        image.missed = True
        if earlier:
            return earlier[-1].reading
        if self._have_own(self._images.values()):
            raise self._none(f"every camera_info on {self._topic} is stamped later than this image")
        return candidates[0].reading

    def new_epoch(self, stamp_ns: int) -> None:
        """Time jumped to `stamp_ns`: forget images, and what was said before of another time."""
        last = self._readings[-1] if self._readings else None
        paired = self._pairs() and self._have_own(self._images.values())
        fresh = [
            kept
            for kept in _since_the_last_step_back(self._readings)
            if stamp_ns - LEAP_NS < kept.reading.stamp_ns <= stamp_ns + JUMP_NS
        ]
        if not fresh and last is not None and not paired:
            fresh = [_Kept(last.number, replace(last.reading, stamp_ns=0))]
        self._readings = deque(fresh, maxlen=KEPT)
        self._images.clear()

    def _next(self) -> int:
        self._arrived += 1
        return self._arrived

    def _none(self, sentence: str) -> Dropped:
        return Dropped(drops.NO_CAMERA_INFO, sentence, final=False)

    def _candidates(self, image: _Image) -> Sequence[_Kept]:
        kept = list(self._readings)
        kept = [k for k in kept if k.reading.frame_id == image.frame_id] or kept
        return [k for k in kept if k.reading.fits(image.size)] or kept

    def _may_come(
        self,
        image: _Image,
        candidates: Sequence[_Kept],
        has_earlier: bool,
        waited: float,
        patience: float,
    ) -> bool:
        """Whether the CameraInfo of the image's own stamp is worth waiting for."""
        stamps = [kept.reading.stamp_ns for kept in candidates]
        if stamps[-1] == 0 or (has_earlier and max(stamps) > image.stamp_ns):
            return False
        if not self._have_own(self._images.values()):
            patience = min(patience, UNTOLD_PATIENCE)
        return waited < patience and self._pairs()

    def _pairs(self) -> bool:
        """Whether most of the newest images had a CameraInfo of their own stamp."""
        decided: list[bool] = []
        for image in reversed(self._images.values()):
            if image.own is not None or image.missed:
                decided.append(image.own is not None)
            if len(decided) == WINDOW:
                break
        votes = (decided + PRIOR * [True])[:WINDOW]
        return 2 * sum(votes) > len(votes)

    @staticmethod
    def _have_own(images: Iterable[_Image]) -> bool:
        return any(image.own is not None for image in images)


def _since_the_last_step_back(readings: Sequence[_Kept]) -> list[_Kept]:
    run: list[_Kept] = []
    for kept in reversed(readings):
        if run and kept.reading.stamp_ns > run[-1].reading.stamp_ns:
            break
        run.append(kept)
    return run[::-1]
