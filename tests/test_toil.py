"""Loops that train are not run for ever: they end when they have met every part of the model there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from initlint.knowledge import load_knowledge
from initlint.source.contexts import Contexts
from initlint.source.project import Project

_NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(8, 8)
        self.fc2 = nn.Linear(8, 1)

    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(x)))


class Trainer:
    def __init__(self, net, target):
        self.net, self.target = net, target
        self.seen = []

    def follow(self):
        for slow, fast in zip(self.target.parameters(), self.net.parameters()):
            slow.data.copy_(slow.data * 0.99 + fast.data * 0.01)

    def train(self, batch):
        for key in [f"key{i}" for i in range(50)]:
            self.seen.append({"loss": self.net(batch), "key": key})
        self.follow()
        return self.seen[-1]["loss"]
"""


def _initializers(tmp_path: Path, code: str) -> dict[str, set[str]]:
    """What wrote the weights of `fc1`, by the context, of those that were followed to their end."""
    file = tmp_path / "script.py"
    file.write_text(_NET + code)
    return {
        model.name: {layer.weight.function for layer in model.layers if layer.path == "fc1"}
        for model in Contexts(Project([file], None), load_knowledge(), None).models()
    }


@pytest.mark.parametrize("loop", ["for epoch in range(300)", "while step >= 0"])
def test_a_loop_that_trains_ends_and_what_comes_after_it_counts(tmp_path: Path, loop: str) -> None:
    found = _initializers(
        tmp_path,
        f"""

if __name__ == "__main__":
    net, target = Net(), Net()
    trainer = Trainer(net, target)
    for step in range(100):
        {loop}:
            loss = trainer.train(torch.randn(4, 8))
    nn.init.xavier_uniform_(net.fc1.weight)
""",
    )
    assert "xavier_uniform_" in found["script"]


_FAMILY = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, depth, activation):
        super().__init__()
        layers = [part for _ in range(depth) for part in (nn.Linear(8, 8), activation())]
        self.net = nn.Sequential(*layers)

    def forward(self, x):
        return self.net(x)


def net2():
    return Net(2, nn.ReLU)


def net3():
    return Net(3, nn.ReLU)


def tanh_net4():
    return Net(4, nn.Tanh)


def net5():
    return Net(5, nn.ReLU)


def net6():
    return Net(6, nn.ReLU)


def smoke_test():
    for build in (net2, net3, tanh_net4, net5, net6):
        build()(torch.randn(2, 8))
"""


def test_a_loop_over_builders_runs_one_of_those_that_differ_in_numbers(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(_FAMILY)
    contexts = Contexts(Project([tmp_path / "nets.py"], None), load_knowledge(), None)
    (model,) = contexts.settled()
    assert model.name == "smoke_test"
    activations = [op.name for op in model.ops if op.kind == "activation"]
    assert activations == ["relu"] * 2 + ["tanh"] * 4 + ["relu"] * 6
