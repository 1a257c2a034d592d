"""What initlint knows about torch and its neighbours: rules/ as typed, validated, read-only tables."""

from __future__ import annotations

from initlint.knowledge.facts import (
    Activation,
    Effect,
    Family,
    InitializerFact,
    Knowledge,
    LayerFact,
    LibraryFact,
    OperationFact,
    Rule,
)
from initlint.knowledge.loader import load_knowledge, rules_dir
from initlint.knowledge.pages import load_rules

__all__ = [
    "Activation",
    "Effect",
    "Family",
    "InitializerFact",
    "Knowledge",
    "LayerFact",
    "LibraryFact",
    "OperationFact",
    "Rule",
    "load_knowledge",
    "load_rules",
    "rules_dir",
]
