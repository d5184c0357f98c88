"""Methods side by side on the same moments: who is asked, about which views, by which head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kdbts_ros.datasets.kitti.drive import KittiDrive
from kdbts_ros.density.engines.interface import Queries
from kdbts_ros.density.geometry.camera import View
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.lidar import recorded_scan
from kdbts_ros.evaluation.samples import Sample
from kdbts_ros.evaluation.views import ViewChoice, recorded_view, recorded_views


@dataclass(frozen=True, eq=False)
class ShownMethod:
    """A network under the name of its method.

    several: whether it is shown all views or the reference view alone. fused: whether its
    multi-view head answers, of a single view too, or the student where there is one.
    """

    title: str
    scene: SceneCompleter
    several: bool = False
    fused: bool = False

    def __post_init__(self) -> None:
        if (self.several or self.fused) and not self.scene.network.density_head.multi_view:
            raise UserError(
                f"{self.title} needs weights with a multi-view head, not '{self.scene.spec.head}'"
            )

    def asked(self, views: Sequence[View]) -> Queries:
        """Its answers about the views it is shown."""
        shown = views if self.several else views[:1]
        field = self.scene.field
        head = 0 if self.fused or self.several else field.answering(1)
        return self.scene.engine.queries(head, [self.scene.encode(view) for view in shown])


def recorded_moments(drive: KittiDrive, choice: ViewChoice, count: int) -> Iterator[Sample]:
    """`count` moments of a drive with the chosen views, evenly spread; those with a scan first.

    A moment without a scan has no depth and nothing around it.

    Raises:
        UserError: no frame has the views.
    """
    others = {i: recorded_views(drive, i, choice) for i in drive.frames}
    whole = [i for i, views in others.items() if views is not None]
    frames = [i for i in whole if drive.has_lidar(i)] or whole
    if not frames:
        raise UserError(f"no frame of {drive.name} has the views {choice}; ask for fewer")
    chosen = np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)
    for index in (frames[k] for k in chosen.tolist()):
        view = recorded_view(drive, index)
        further = (recorded_view(drive, i, name) for name, i in others[index] or [])
        scanned = drive.has_lidar(index)
        height, width = view.image.shape[:2]
        yield Sample(
            f"{drive.name} frame {index}",
            (view, *further),
            drive.T_world_base(index),
            drive.lidar_depth(index) if scanned else np.zeros((height, width), np.float32),
            around=(recorded_scan(drive, index),) if scanned else (),
        )
