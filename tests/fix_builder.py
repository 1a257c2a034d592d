"""Findings written by hand over real source text, as the checks would make them."""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from initlint.fix import FixOptions, attach
from initlint.fix.edits import LineMap, apply
from initlint.knowledge import load_knowledge
from initlint.model import (
    Chain,
    Finding,
    Follower,
    Initializer,
    Judgement,
    Layer,
    Severity,
    Site,
)

FILE = "/src/net.py"
HEAD = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
"""
FORWARD = """
    def forward(self, x):
        return x
"""
SQRT2 = math.sqrt(2.0)
RELU = 'nonlinearity="relu"'
DEFAULT = Initializer("default", "kaiming_uniform_", (("a", math.sqrt(5)),), gain=1 / math.sqrt(3))


def site_of(text: str, snippet: str, occurrence: int = 0) -> Site:
    """Where a snippet stands in a text."""
    offset = -1
    for _ in range(occurrence + 1):
        offset = text.index(snippet, offset + 1)
    lines = LineMap(text)
    return Site(FILE, *lines.position(offset), *lines.position(offset + len(snippet)))


def owner_of(text: str, name: str) -> Site | None:
    """The header of a class."""
    tree = ast.parse(text.removeprefix("\ufeff"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return Site(FILE, node.lineno, node.col_offset + 1, node.lineno, node.col_offset + 7 + len(name))
    return None


class Net:
    """The judged layers of one model over one text."""

    def __init__(self, text: str, owner: str = "Net", fixed_signal: float | None = 1.0) -> None:
        self.text = text
        self.owner = owner
        self.fixed_signal = fixed_signal
        self.judgements: list[Judgement] = []

    def layer(
        self,
        snippet: str,
        access: str | None,
        activation: str | None = "relu",
        *,
        occurrence: int = 0,
        weight: Initializer = DEFAULT,
        params: tuple[tuple[str, float], ...] = (),
        output: bool = False,
        follower: Follower | None = None,
        **changes: object,
    ) -> Judgement:
        """Add a layer built at `snippet`; without an activation it is exempt."""
        knowledge = load_knowledge()
        kind = snippet.partition("(")[0].rpartition(".")[2]
        owner_site = owner_of(self.text, self.owner)
        layer = Layer(
            id=len(self.judgements),
            kind=kind,
            owner=self.owner,
            path=(access or "layer").removeprefix("self.").replace("[", ".").replace("]", "").replace('"', ""),
            site=site_of(self.text, snippet, occurrence),
            weight=weight,
            access=access,
            owner_site=owner_site,
        )
        layer = replace(layer, **changes)  # type: ignore[arg-type]
        if activation is None:
            judgement = Judgement(layer, "exempt", model="Net")
        else:
            decisive = follower or Follower(activation, params, output=output)
            fact = knowledge.activations[activation]
            ideal = fact.output_gain if output and fact.output_gain is not None else fact.gain
            if fact.slope_parameter is not None:
                slope = {**dict(fact.parameters), **dict(params)}[fact.slope_parameter]
                ideal *= math.sqrt(2 / (1 + slope * slope))
            judgement = Judgement(layer, "mismatch", (decisive,), None, decisive, ideal, model="Net")
        self.judgements.append(judgement)
        return judgement

    def call(
        self, snippet: str, function: str, gain: float, *, occurrence: int = 0, editable: bool = True
    ) -> Initializer:
        """The explicit initializer written at `snippet`."""
        return Initializer(
            "explicit", function, gain=gain, site=site_of(self.text, snippet, occurrence), editable=editable
        )

    def findings(self) -> tuple[Finding, ...]:
        """One finding per mismatch, all layers on one chain."""
        ids = tuple(judgement.layer.id for judgement in self.judgements)
        found = []
        for position, judgement in enumerate(self.judgements, 1):
            chain = Chain(len(ids), position, 0.01, self.fixed_signal, ids)
            chained = replace(judgement, chain=chain)
            if judgement.verdict != "mismatch":
                continue
            layer = judgement.layer
            found.append(
                Finding(
                    code="INI101" if layer.weight.source == "default" else "INI105",
                    name="default-init-before-rectifier",
                    message="scales the signal",
                    severity=Severity.WARNING,
                    site=layer.site,
                    layer=f"{layer.owner}.{layer.path}",
                    judgements=(chained,),
                )
            )
        return tuple(found)

    def attached(self, options: FixOptions | None = None, *, census: bool = True) -> tuple[Finding, ...]:
        """The findings with their fixes; a scan of the repaired text finds nothing."""
        return attach(
            self.findings(),
            {FILE: self.text},
            options or FixOptions(),
            self._rescan,
            judgements=self.judgements if census else (),
        )

    def repaired(self, options: FixOptions | None = None, *, census: bool = True) -> str:
        """The text after the fix of the first finding."""
        fix = self.attached(options, census=census)[0].fix
        assert fix is not None, self.attached(options, census=census)[0].help
        return apply(self.text, fix.edits)

    def _rescan(self, texts: object) -> Sequence[Finding]:
        return self.findings() if texts == {FILE: self.text} else ()


def network(*lines: str, head: str = HEAD, forward: str = FORWARD) -> str:
    """A model whose `__init__` holds some lines."""
    return head + "".join(f"        {line}\n" if line else "\n" for line in lines) + forward


def added(net: Net, options: FixOptions | None = None, *, census: bool = True) -> list[str]:
    """The lines that the repair adds, without indentation; everything else must still be there."""
    before, after = net.text.splitlines(), net.repaired(options, census=census).splitlines()
    ast.parse("\n".join(after).removeprefix("\ufeff"))
    rest = iter(after)
    new = []
    for line in before:
        for candidate in rest:
            if candidate == line:
                break
            new.append(candidate)
        else:
            pytest.fail(f"{line!r} was lost")
    return [line.strip() for line in [*new, *rest] if line.strip()]


def refusal(net: Net, position: int = 0) -> str:
    """Why a finding was given no fix."""
    finding = net.attached()[position]
    assert finding.fix is None
    assert finding.help is not None
    return finding.help.removeprefix("not repaired automatically: ")


def one_layer(construction: str = "nn.Linear(8, 8)", activation: str = "relu", **changes: object) -> Net:
    """A model of a single layer, which does not suit its activation."""
    net = Net(network(f"self.fc = {construction}"))
    net.layer(construction, "self.fc", activation, **changes)  # type: ignore[arg-type]
    return net


def explicit_and_default() -> Net:
    """A chain of one layer that keeps torch's default and one that its author initialized, both wrong."""
    net = Net(
        network(
            "self.a = nn.Linear(8, 8)",
            "self.b = nn.Linear(8, 9)",
            "nn.init.xavier_uniform_(self.b.weight)",
        )
    )
    net.layer("nn.Linear(8, 8)", "self.a")
    weight = net.call("nn.init.xavier_uniform_(self.b.weight)", "xavier_uniform_", 1.0)
    net.layer("nn.Linear(8, 9)", "self.b", weight=weight)
    return net
