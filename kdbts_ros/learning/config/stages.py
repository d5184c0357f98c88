"""What the stages of a training run have in common, and the one that learns from exact worlds."""

from __future__ import annotations

from typing import Literal

from kdbts_ros.learning.config.frames import JitterConfig, PlacesConfig, PoolConfig, StreetsConfig
from kdbts_ros.learning.config.section import Field, Section, model_validator


class OptimiserConfig(Section):
    """AdamW and its rate: linear warm-up, then a cosine over the stage or decay in steps."""

    rate: float = Field(default=4e-4, gt=0, le=0.1, description="learning rate after the warm-up")
    final_rate: float = Field(
        default=1e-5, ge=0, le=0.1, description="learning rate at the stage's end"
    )
    decay: Literal["cosine", "step"] = Field(
        default="cosine",
        description="down to final_rate over the stage, or by a factor every so many steps",
    )
    decay_steps: int = Field(
        default=120_000, ge=1, description="steps between drops of decay: step"
    )
    decay_factor: float = Field(default=0.1, gt=0, le=1, description="factor of each drop")
    warm_up_steps: int = Field(default=100, ge=0, le=100_000, description="steps of linear warm-up")
    weight_decay: float = Field(default=1e-4, ge=0, le=1, description="decoupled weight decay")
    clip_norm: float = Field(default=5.0, gt=0, le=1e6, description="largest norm of the gradient")
    trunk_rate: float = Field(
        default=1.0, ge=0, le=10, description="factor on the rate for the encoder"
    )
    trunk_decay: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="and for each of its levels, from 1/32 up to 1/2, this once more than for the "
        "coarser one: what sees edges learns least",
    )


class Stage(Section):
    """Length and optimiser of one stage; it ends at whichever limit comes first."""

    minutes: float | None = Field(default=None, gt=0, description="length in minutes of training")
    steps: int | None = Field(default=None, ge=1, description="length in optimiser steps")
    batch: int = Field(default=8, ge=1, le=512, description="images in a step")
    freeze_trunk: bool = Field(
        default=False,
        description="only the heads learn; weights and batch-norm statistics of encoder and "
        "decoder stay as they are. A new head learns to read a trained trunk in a quarter of the "
        "time, and does not disturb it",
    )
    freeze_levels: int = Field(
        default=0,
        ge=0,
        le=5,
        description="so many levels of the encoder stay as they are, from 1/2 (the stem) to 1/32; "
        "what photographs have taught them is then not forgotten on worlds",
    )
    warm_decoder: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of the stage, at its beginning, for which the whole encoder stays as it "
        "is: a new decoder would otherwise pull a trained one apart",
    )
    freeze_student: bool = Field(
        default=False,
        description="the student stays as it is, with a hidden layer that other heads may share",
    )
    view_dropout: float = Field(
        default=0.5,
        ge=0,
        lt=1,
        description="chance that a point is hidden from a view other than the first",
    )
    samples: int = Field(default=32, ge=4, le=256, description="samples of a ray")
    optimiser: OptimiserConfig = Field(default_factory=lambda: OptimiserConfig())

    @model_validator(mode="after")
    def _has_an_end(self) -> Stage:
        if self.minutes is None and self.steps is None:
            raise ValueError("a stage needs 'minutes' or 'steps'")
        return self


class SupervisedStage(Stage):
    """Exact occupancy and depth of procedural worlds."""

    kind: Literal["supervised"]
    points: int = Field(default=3000, ge=8, le=100_000, description="labelled points of an image")
    rays: int = Field(
        default=600, ge=8, le=100_000, description="rays of an image that know their depth"
    )
    far_share: float = Field(
        default=0.0,
        ge=0,
        le=0.5,
        description="share of the rays that end at things 30 m away or more; half end at what is "
        "nearer than 50 m, the rest anywhere",
    )
    near_share: float = Field(
        default=0.0,
        ge=0,
        le=0.5,
        description="share of the rays, and of the points around surfaces, that end at things "
        "nearer than 6 m, which few pixels show and robots run into",
    )
    columns: int = Field(
        default=200, ge=0, le=100_000, description="labelled map columns of an image"
    )
    column_weight: float = Field(
        default=1.0, ge=0, le=100, description="weight of the cross-entropy of map columns"
    )
    views: int = Field(
        default=1, ge=1, le=8, description="encoded views of a scene; more need the head mvbts"
    )
    low_cameras: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of the scenes seen from the first of camera_heights up to 1.5 m above "
        "the ground, enlarged as the canonical camera enlarges what a low camera sees",
    )
    high_cameras: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of the scenes seen from 1.8 m above the ground up to the second of "
        "camera_heights, shrunk as the canonical camera shrinks what a high camera sees",
    )
    camera_heights: tuple[float, float] = Field(
        default=(0.6, 2.75),
        description="lowest (0.3 to 1.5 m) and highest (1.8 to 4 m) of these cameras",
    )
    streets: StreetsConfig = Field(default_factory=lambda: StreetsConfig())
    places: PlacesConfig = Field(default_factory=lambda: PlacesConfig())
    steep_cameras: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of the scenes of `places` whose camera looks 20 to 38 degrees down, so "
        "that the upper part of what the network looks at is not in its image",
    )
    hills: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of the worlds on a slope of 2 to 14 %, two thirds of them down",
    )
    one_camera: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of the scenes whose further views are what one forward camera saw 1 to "
        "10 m before; the others have a second camera and any place along the street",
    )
    length: float = Field(
        default=0.5, gt=0, le=5, description="metres over which a density becomes a probability"
    )
    depth_weight: float = Field(
        default=0.5, ge=0, le=100, description="weight of the log-depth term"
    )
    distillation: float = Field(
        default=0.0,
        ge=0,
        le=1000,
        description="weight of the L1 between the clipped densities of the student and of the "
        "network's own multi-view head, beside what both learn from the truth (KDBTS)",
    )
    mirrored: float = Field(
        default=0.0,
        ge=0,
        le=1000,
        description="weight of the L1 between the clipped densities of each head and the mean of "
        "what it says of the image and of the mirrored image",
    )
    feature_distance: float = Field(
        default=0.0,
        ge=0,
        le=1000,
        description="weight of how far features at 1/16 and 1/32 have gone from those of the "
        "encoder the run started from: squared, over their own square",
    )
    feature_teacher: str | None = Field(
        default=None,
        description="a checkpoint whose features, of the images before `jitter`, this network's "
        "are drawn to where they show streets: every pixel of every channel is a lesson, where "
        "truth is known at points",
    )
    feature_weight: float = Field(
        default=1.0,
        ge=0,
        le=1000,
        description="weight of the distance to feature_teacher: squared, over the variance of "
        "each channel",
    )
    truth_weight: float = Field(
        default=1.0,
        ge=0,
        le=1000,
        description="weight of what the heads say of the truth, beside feature_weight",
    )
    feature_noise: float = Field(
        default=0.0,
        ge=0,
        le=2,
        description="largest strength of noise on the fine detail of features at 1/2 and 1/4",
    )
    mix_style: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="chance that features of a scene at 1/2 and 1/4 take on some of the mean and "
        "spread of another scene of the batch",
    )
    jitter: JitterConfig = Field(default_factory=lambda: JitterConfig())
    pool: PoolConfig = Field(default_factory=lambda: PoolConfig())

    @model_validator(mode="after")
    def _shares_fit(self) -> SupervisedStage:
        low, high = self.camera_heights
        if not (0.3 <= low <= 1.5 and 1.8 <= high <= 4.0):
            raise ValueError("'camera_heights' goes from 0.3..1.5 m to 1.8..4 m")
        if self.low_cameras + self.high_cameras > 1:
            raise ValueError("'low_cameras' and 'high_cameras' are together at most 1")
        if self.far_share + self.near_share > 0.5:
            raise ValueError("'far_share' and 'near_share' are together at most 0.5")
        return self
