"""What convolutions read: observed, kept in a note, and believed only of the same network."""

from __future__ import annotations

import json

import pytest
import torch

from kdbts_ros.density.checkpoints.checkpoint import of_descendant
from kdbts_ros.density.network.activation_ranges import (
    NOTE,
    Range,
    convolutions,
    joined,
    observe,
    read_note,
    write_note,
)
from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.errors import UserError
from test.density.networks import thin_spec, varied


def network(trunk: str = "efficientnet_lite0") -> DensityNetwork:
    torch.manual_seed(0)
    return varied(DensityNetwork(thin_spec(trunk=trunk)))


def images(count: int = 2) -> list[torch.Tensor]:
    torch.manual_seed(2)
    return [torch.rand(1, 3, 64, 64) for _ in range(count)]


@pytest.mark.parametrize("trunk", ["resnet18", "efficientnet_lite0"])
def test_every_convolution_is_observed_and_the_network_left_as_it_was(trunk: str) -> None:
    observed = network(trunk)
    before = observed.encode(images()[0])
    ranges = observe(observed, images())
    assert ranges.keys() == convolutions(observed).keys()
    assert {"decoder.output.conv", "decoder.before.0.conv"} < ranges.keys()
    assert torch.equal(observed.encode(images()[0]), before)
    assert not any(m._forward_pre_hooks for m in observed.modules())


def test_a_range_is_the_mean_of_what_images_reach() -> None:
    observed = network()
    name, layer = next(iter(convolutions(observed).items()))
    read: list[torch.Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    ((found,), *_) = observe(observed, images()).values()
    hook.remove()
    low = sum(float(x.min()) for x in read) / 2
    high = sum(float(x.max()) for x in read) / 2
    assert name == "encoder.stem.conv" and len(read) == 2
    assert (found.low, found.high) == pytest.approx((low, high))


def test_what_the_decoder_joins_has_a_range_for_each_map() -> None:
    observed = network()
    ranges = observe(observed, images())
    for name, layer in convolutions(observed).items():
        assert sum(joined(observed)[name]) == layer.in_channels
    assert [len(ranges[f"decoder.after.{step}.conv"]) for step in range(5)] == [2, 2, 2, 2, 1]
    assert {len(maps) for name, maps in ranges.items() if ".after." not in name} == {1}


def test_zero_is_within_every_range() -> None:
    # Behind a ReLU nothing is below it; borders are padded with it everywhere.
    for maps in observe(network(), images()).values():
        assert all(each.low <= 0 < each.high for each in maps)
    for low, high in ((0.1, 1.0), (-1.0, 0.0), (float("nan"), 1.0), (0.0, float("inf"))):
        with pytest.raises(UserError, match="a range of activations needs"):
            Range(low, high)


def test_nothing_is_observed_without_images() -> None:
    with pytest.raises(UserError, match="at least one image"):
        observe(network(), [])


def test_a_note_says_what_was_observed() -> None:
    ranges = observe(network(), images())
    assert read_note(write_note(ranges), network()) == ranges
    assert read_note(None, network()) is None


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[1, 2]",
        "3",
        '{"decoder.output.conv": 1}',
        '{"decoder.output.conv": [0, 1]}',
        '{"decoder.output.conv": [[0]]}',
        '{"decoder.output.conv": [[0, "x"]]}',
        '{"decoder.output.conv": [[0, NaN]]}',
        '{"decoder.output.conv": [[1, 0]]}',
        "[" * 100_000,
    ],
)
def test_a_damaged_note_is_one_sentence(text: str) -> None:
    with pytest.raises(UserError, match="range") as told:
        read_note(text, network())
    assert "\n" not in str(told.value)


def test_the_note_of_another_network_is_refused() -> None:
    of_a_resnet = write_note(observe(network("resnet18"), images()))
    with pytest.raises(UserError, match="those of another network"):
        read_note(of_a_resnet, network())
    one_less = json.loads(write_note(observe(network(), images())))
    one_less.popitem()
    with pytest.raises(UserError, match="those of another network"):
        read_note(json.dumps(one_less), network())


def test_other_weights_do_not_inherit_the_note() -> None:
    assert of_descendant({NOTE: "{}", "licence": "x"}) == {"licence": "x"}
