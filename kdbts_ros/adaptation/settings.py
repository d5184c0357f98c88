"""How an adaptation goes about its work."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AdaptSettings:
    """What is learnt from, for how long, and how carefully.

    Attributes:
        minutes: of training, after the frames are there.
        rate: learning rate after the warm-up; a cosine takes it to zero.
        batch: clips in a step.
        views: images of a clip that a multi-view head is shown.
        rays: rays of known depth of a clip, patches: 8x8 patches, samples: along each ray.
        hint: weight of |log depth| against what matching is sure of.
        photometric: weight of rendering one image from another.
        anchor: weight of staying with the start's densities where nothing is seen. What is hidden
            is taught by no image, and so would drift with what is seen.
        rehearsal: weight of exact worlds beside the clips, and worlds: how many of them in a step;
            see `rehearsal`. 0 shows none.
        held_out: share of every recording, its end, that is never learnt from.
        look_seconds: time between looks at the held-out part.
        seed: of everything random.
    """

    minutes: float = 30.0
    rate: float = 3e-4
    batch: int = 4
    views: int = 3
    rays: int = 300
    patches: int = 8
    samples: int = 32
    hint: float = 1.0
    photometric: float = 0.5
    anchor: float = 0.1
    rehearsal: float = 1.0
    worlds: int = 2
    held_out: float = 0.15
    look_seconds: float = 120.0
    seed: int = 0
