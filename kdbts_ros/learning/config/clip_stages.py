"""The stages that learn from clips of posed images: photometric, and by distillation."""

from __future__ import annotations

from typing import Literal, TypeAlias

from kdbts_ros.learning.config.frames import JitterConfig, PoolConfig
from kdbts_ros.learning.config.section import Field, Section, model_validator
from kdbts_ros.learning.config.stages import Stage, SupervisedStage


class ClipStage(Stage):
    """Where clips of posed images come from, and how many of their frames are encoded."""

    source: Literal["synthetic", "kitti-raw", "kitti-360", "bag"] = Field(
        default="synthetic", description="where stereo pairs come from"
    )
    root: str | None = Field(
        default=None, description="dataset folder of recorded data, or the folder of the bags"
    )
    drives: tuple[str, ...] = Field(
        default=(), description="drives, sequences or bags under 'root' to learn from"
    )
    cameras: tuple[str, ...] = Field(
        default=(), description="the two cameras of 'kitti-360' or 'bag'; none takes left and right"
    )
    split: str | None = Field(
        default=None,
        description="file of 'drive frame side' lines to learn from instead of whole drives; "
        "both cameras of a frame take turns, whatever the side",
    )
    poses: Literal["oxts", "orbslam"] = Field(
        default="oxts", description="poses of 'kitti-raw': GPS/IMU records, or files of ORB-SLAM"
    )
    orbslam_folder: str | None = Field(default=None, description="folder of the ORB-SLAM poses")
    orbslam_scale: float = Field(
        default=1.0, gt=0, le=10, description="factor on the translations of ORB-SLAM"
    )
    views: int = Field(
        default=1, ge=1, le=4, description="encoded frames of a clip; more need the head mvbts"
    )
    patches: int = Field(default=32, ge=1, le=1024, description="8x8 patches of an image")
    time_step: int = Field(default=1, ge=1, le=20, description="frames between the two times")
    jitter: JitterConfig = Field(
        default_factory=lambda: JitterConfig(
            gain=0.2, contrast=0.2, gamma=0.0, saturation=0.2, hue=0.1, noise=0.0, blur=0.0
        )
    )
    pool: PoolConfig = Field(
        default_factory=lambda: PoolConfig(capacity=400, minimum=40, reuse=8.0)
    )

    @model_validator(mode="after")
    def _knows_its_data(self) -> ClipStage:
        if self.source != "synthetic" and not (self.root and (self.drives or self.split)):
            raise ValueError(f"source '{self.source}' needs 'root' and 'drives', or a 'split'")
        if self.cameras and len(self.cameras) != 2:
            raise ValueError("'cameras' names two cameras")
        if self.jitter.paints:
            raise ValueError(
                "'shade', 'grain' and 'bloom' of 'jitter' would be taken for geometry by a "
                "photometric loss"
            )
        return self


class PhotometricTerm(Section):
    """How a rendering is judged."""

    invalid_policy: Literal["weight_guided", "strict", "none"] = Field(
        default="weight_guided", description="which rays cannot be judged by any render view"
    )
    smoothness: float = Field(
        default=1e-3, ge=0, le=1, description="weight of edge-aware smoothness"
    )


class PhotometricStage(ClipStage, PhotometricTerm):
    """Images and poses alone: render two frames from two others (BTS, CVPR 2023)."""

    kind: Literal["photometric"]


class DistillStage(ClipStage, PhotometricTerm):
    """A student that reads one view learns what a teacher knows from several (KDBTS, CVPR 2024).

    The student is the network's single-view head. The teacher is another checkpoint, or the
    network's own multi-view head.
    """

    kind: Literal["distill"]
    views: int = Field(default=4, ge=2, le=4, description="frames of a clip the teacher encodes")
    teacher: str | None = Field(
        default=None,
        description="multi-view checkpoint that teaches, a shipped name or a file; none takes the "
        "network's own multi-view head",
    )
    freeze: bool = Field(
        default=False,
        description="nothing but the student's head learns; weights and batch-norm statistics of "
        "the trunk and of the teacher stay as they are",
    )
    distillation: float = Field(
        default=1e-2, ge=0, le=1000, description="weight of the L1 between clipped densities"
    )
    photometric: float = Field(
        default=1.0, ge=0, le=1000, description="weight of the student's photometric objective"
    )


AnyStage: TypeAlias = SupervisedStage | PhotometricStage | DistillStage
