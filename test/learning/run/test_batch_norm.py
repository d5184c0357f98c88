"""What is frozen does not move, whatever mode the network is put in."""

from __future__ import annotations

import copy

import torch
from torch import nn

from kdbts_ros.learning.run.batch_norm import frozen, frozen_statistics, share_batch_norms


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 1))


def images() -> torch.Tensor:
    return 5 + 3 * torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def moved(before: nn.Module, after: nn.Module) -> set[str]:
    old = before.state_dict()
    return {k for k, v in after.state_dict().items() if not torch.equal(v, old[k])}


def learn(net: nn.Sequential) -> None:
    optimiser = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], 0.1)
    for _ in range(3):
        net.train()
        optimiser.zero_grad()
        net(images()).square().mean().backward()
        optimiser.step()


def test_without_it_statistics_move_although_no_weight_learns() -> None:
    net = network()
    net[1].requires_grad_(False)
    before = copy.deepcopy(net)
    learn(net)
    assert {"1.running_mean", "1.running_var", "1.num_batches_tracked"} <= moved(before, net)


def test_frozen_statistics_stay_while_weights_learn() -> None:
    net = network()
    before = copy.deepcopy(net)
    with frozen_statistics(net):
        learn(net)
    assert moved(before, net) == {"0.weight", "0.bias", "1.weight", "1.bias", "2.weight", "2.bias"}


def test_frozen_statistics_are_the_ones_used() -> None:
    net = network().train()
    with frozen_statistics(net):
        held = net.train()(images())
    torch.testing.assert_close(held, net.eval()(images()))


def test_frozen_modules_keep_everything_and_the_rest_learns() -> None:
    net = network()
    before = copy.deepcopy(net)
    with frozen(net[0], net[1]):
        learn(net)
    assert moved(before, net) == {"2.weight", "2.bias"}
    assert all(p.requires_grad for p in net.parameters())


def test_everything_returns_afterwards() -> None:
    net = network()
    net[0].weight.requires_grad_(False)
    net[1].train()
    before = copy.deepcopy(net)
    with frozen(net):
        net(images())
    assert net[1].training
    assert not net[0].weight.requires_grad
    net.train()(images())
    assert "1.running_mean" in moved(before, net)


def test_on_gpus_torchs_own_shared_batch_norms_keep_the_weights() -> None:
    net = network()
    net(images())
    shared = copy.deepcopy(net)
    share_batch_norms(shared, torch.device("cuda"))
    assert isinstance(shared[1], nn.SyncBatchNorm)
    assert moved(net, shared) == set()
    with frozen_statistics(shared):
        torch.testing.assert_close(shared.train()(images()), net.eval()(images()))
