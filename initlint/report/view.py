"""All that a renderer may know: the findings, the texts they point into, the rules and how to show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from initlint.fingerprint import shown_path
from initlint.knowledge import Rule
from initlint.model import Finding, Severity

HOMEPAGE = "https://github.com/initlint/initlint"


@dataclass(frozen=True, slots=True)
class View:
    """What is to be rendered.

    `texts` are the files by absolute path, `root` the folder that paths are shown relative to. `unsafe_fixes` says
    that unsafe fixes count as applicable, `quiet` that only findings are told. `fixed` are findings that this run has
    repaired, `version` is initlint's own.
    """

    findings: tuple[Finding, ...]
    texts: Mapping[str, str] = field(default_factory=dict)
    root: Path = field(default_factory=Path.cwd)
    rules: Mapping[str, Rule] = field(default_factory=dict)
    unsafe_fixes: bool = False
    color: bool = False
    quiet: bool = False
    show_fixes: bool = False
    fixed: tuple[Finding, ...] = ()
    version: str = ""

    def path(self, file: str) -> str:
        """How a file is shown."""
        return shown_path(file, self.root)

    def applicable(self, finding: Finding) -> bool:
        """Whether a run with the same options and ``--fix`` would repair the finding."""
        return finding.fix is not None and (self.unsafe_fixes or finding.fix.applicability == "safe")

    @property
    def worst_first(self) -> tuple[Finding, ...]:
        """The findings by falling severity, otherwise in order."""
        return tuple(sorted(self.findings, key=lambda finding: -finding.severity))

    @property
    def by_file(self) -> Mapping[str, tuple[Finding, ...]]:
        """The findings of each file, in order."""
        grouped: dict[str, list[Finding]] = {}
        for finding in self.findings:
            grouped.setdefault(finding.site.file, []).append(finding)
        return {file: tuple(findings) for file, findings in grouped.items()}


def rule_url(name: str) -> str:
    """The address of a rule's page."""
    return f"{HOMEPAGE}/blob/main/rules/{name}.md"


def measure(finding: Finding) -> str:
    """The numbers behind a finding in a few words, empty where nothing was measured."""
    words = []
    if finding.gain is not None:
        words.append(f"gain {number(finding.gain)}")
    if finding.ideal_gain is not None:
        words.append(f"{number(finding.ideal_gain)} fits")
    return ", ".join(words)


def number(value: float) -> str:
    """A measure as people read it: two significant digits below one, three above."""
    return f"{value:.3g}" if abs(value) >= 1 else f"{value:.2g}"


def count(amount: int, noun: str) -> str:
    """``1 finding``, ``2 findings``."""
    return f"{amount} {noun}" if amount == 1 else f"{amount} {noun}s"


def severities(findings: tuple[Finding, ...]) -> str:
    """How many of each severity, worst first: ``1 error, 2 infos``."""
    tally = {severity: sum(finding.severity == severity for finding in findings) for severity in reversed(Severity)}
    return ", ".join(count(amount, severity.label) for severity, amount in tally.items() if amount)
