"""What a network is shown of the cameras of a sample: what the node would show it."""

from __future__ import annotations

from kdbts_ros.density.cameras.adapter import CameraAdapter, Mode
from kdbts_ros.density.cameras.lenses import Lens
from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.geometry.camera import View, inverse
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.evaluation.samples import Sample


def adapter_of(scene: SceneCompleter, mode: Mode = "auto") -> CameraAdapter:
    """For any camera, by the camera that the network was trained with."""
    size = scene.spec.image_width, scene.spec.image_height
    return CameraAdapter(TrainingCamera.from_notes(scene.info.notes), size, mode)


def shown(view: View, sample: Sample, adapter: CameraAdapter) -> View:
    """A view of the sample as the network is shown it.

    Raises:
        UserError: a camera that sees nothing the network can be shown.
    """
    T_base_cam = inverse(sample.T_world_base) @ view.T_world_cam
    return adapter.view(view.image, Lens(view.camera), T_base_cam, view.T_world_cam)
