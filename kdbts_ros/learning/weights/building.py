"""The network that a config asks for."""

from __future__ import annotations

import torch

from kdbts_ros.density.checkpoints.checkpoint import load_network
from kdbts_ros.density.checkpoints.imagenet import IMAGENET, imagenet_weights
from kdbts_ros.density.network.heads import MultiViewHead
from kdbts_ros.density.network.network import SINGLE_VIEW_HEADS, DensityNetwork, NetworkSpec
from kdbts_ros.density.network.trunk import Trunk
from kdbts_ros.learning.config.training import NetworkConfig
from kdbts_ros.learning.weights.start import adopt, adopt_heads


def build_network(config: NetworkConfig) -> DensityNetwork:
    """A fresh network as thin fog, or the one to start from.

    Raises:
        UserError: the checkpoint to start from cannot be read or is of another architecture,
            or ImageNet's weights are not at hand.
    """
    single = config.head in SINGLE_VIEW_HEADS
    narrow = single or config.head == "simple_multiview"
    widths = (config.head_width,) if narrow else config.multi_view_widths
    spec = NetworkSpec(
        trunk=config.trunk,
        feature_channels=config.feature_channels,
        decoder_channels=config.decoder_channels,
        head=config.head,
        head_widths=widths,
        depth_near=config.depth_near,
        depth_spacing=config.depth_spacing,
        image_height=config.image_height,
        image_width=config.image_width,
        # Worlds are rendered with smoothed edges: camera images must not come in with aliases.
        resize="area",
        student_widths=(config.head_width,) if config.student and not single else (),
        shared_hidden=config.shared_hidden,
        ground_rows=config.ground_rows,
    )
    network = DensityNetwork(spec)
    for head in network.heads().values():
        torch.nn.init.constant_(head.output_bias(), config.density_bias)
    if config.start_from == IMAGENET:
        network.encoder.load_state_dict(imagenet_weights(config.trunk))
    elif config.start_from is not None:
        adopt(network, *load_network(config.start_from), config.fresh_decoder)
    if config.heads_from is not None:
        adopt_heads(network, *load_network(config.heads_from))
    if config.mean_of_views:
        assert isinstance(network.head, MultiViewHead) and network.student is not None
        network.head.begin_as_mean(network.student)
    return network


def start_trunk(config: NetworkConfig) -> Trunk:
    """The encoder that a network of `start_from` begins with, to be looked at and never taught.

    Raises:
        UserError: as `build_network`.
    """
    # What is drawn for heads that nobody needs must not change what the run draws next.
    with torch.random.fork_rng():
        trunk = build_network(config).encoder
    return trunk.eval().requires_grad_(False)
