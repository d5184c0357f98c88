"""The pure pipeline behind the node, imported only when a model is wanted.

torch takes seconds to import; a node that waits for it before it exists cannot report, be asked
for its parameters, or be stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kdbts_ros.node.inference.priority import make_way
from kdbts_ros.node.parameters.values import Parameters

if TYPE_CHECKING:
    from kdbts_ros.density.pipeline import Pipeline, PipelineSettings

COMPILING = (
    "configure: compiling loops for this processor, up to 3 minutes the first time; "
    "`kdbts warm-up` does it ahead"
)


def load(parameters: Parameters, tell: Callable[[str], object]) -> Pipeline:
    """Weights loaded and warmed up, in the thread that will own them.

    Args:
        tell: called with a sentence once it turns out to take long.

    Raises:
        UserError: the weights cannot be used.
    """
    # Before anything makes threads of its own, which are as nice as the one that makes them.
    make_way(parameters.inference_niceness)
    from kdbts_ros import loops
    from kdbts_ros.density.pipeline import Pipeline

    with loops.told_when_compiling(lambda: tell(COMPILING)):
        return Pipeline(settings(parameters))


def settings(parameters: Parameters) -> PipelineSettings:
    """The part of the parameters that the pipeline knows."""
    from kdbts_ros.density.maps.marks import MarkRules
    from kdbts_ros.density.maps.rolling_map import AccumulationSettings
    from kdbts_ros.density.pipeline import PipelineSettings
    from kdbts_ros.density.views.keyframes import BufferRules
    from kdbts_ros.density.views.static_world import ConsistencyRules

    views = BufferRules(
        max_views=parameters.max_views,
        max_keyframes=parameters.max_keyframes,
        min_baseline=parameters.min_baseline,
        max_baseline=parameters.max_baseline,
        keyframe_rotation=parameters.keyframe_rotation,
        max_age=parameters.max_view_age,
        min_overlap=parameters.min_overlap,
        max_bytes=parameters.view_memory_mb * 1_000_000,
        max_speed=parameters.max_speed,
    )
    fusion = AccumulationSettings(
        decay_s=parameters.map_decay,
        completed_weight=parameters.completed_weight,
        observed_limit=parameters.map_inertia,
        completed_limit=parameters.map_inertia / 4,
        speed_limit=parameters.max_speed,
    )
    return PipelineSettings(
        checkpoint=parameters.checkpoint,
        head=None if parameters.head == "auto" else parameters.head,
        device=parameters.device,
        precision=parameters.precision,
        convolutions=parameters.convolutions,
        range_m=parameters.range_m,
        resolution=parameters.resolution,
        height_min=parameters.height_min,
        height_max=parameters.height_max,
        height_step=parameters.height_step,
        occupied_threshold=parameters.occupied_threshold,
        completed_cells=parameters.completed_cells,
        depth_stride=parameters.depth_stride,
        canonical_camera=parameters.canonical_camera,
        scale_height=parameters.scale_height,
        ground_anchor=parameters.ground_anchor,
        follow_ground=parameters.follow_ground,
        map_head=parameters.map_head,
        mode=parameters.mode,
        views=views,
        consistency=ConsistencyRules(least_share=parameters.view_consistency),
        accumulate=parameters.accumulate,
        accumulation=fusion,
        marks=MarkRules(parameters.clearing_threshold, parameters.speckle_cells),
    )
