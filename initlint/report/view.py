"""All that a renderer may know: the findings, the texts they point into, the rules and how to show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from initlint.cells import CellMap, located
from initlint.fingerprint import shown_path, split_lines
from initlint.knowledge import Rule
from initlint.model import Finding, Severity, Site

HOMEPAGE = "https://github.com/initlint/initlint"


@dataclass(frozen=True, slots=True)
class View:
    """What is to be rendered.

    `texts` are the files by absolute path, `root` the folder that paths are shown relative to. `unsafe_fixes` says
    that unsafe fixes count as applicable, `quiet` that only findings are told. `fixed` are findings that this run has
    repaired, `version` is initlint's own. `cells` are the notebooks among the files: a finding in one is placed in its
    program, and where that is for a reader depends on who reads.
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
    cells: Mapping[str, CellMap] = field(default_factory=dict)

    def path(self, file: str) -> str:
        """How a file is shown."""
        return shown_path(file, self.root)

    def place(self, site: Site) -> Site:
        """Where a site is for people: in a notebook by cell."""
        return self.cells[site.file].in_cell(site) if site.file in self.cells else site

    def stored_place(self, site: Site) -> Site:
        """Where a site is for a code host, to which a notebook is lines of JSON."""
        return self.cells[site.file].in_file(site) if site.file in self.cells else site

    def located(self, finding: Finding) -> Finding:
        """A finding with every place as it is for people."""
        return located(finding, self.cells)

    def position(self, site: Site) -> str:
        """Where a site is within its file, as people are told."""
        return position(self.place(site))

    def lines(self, site: Site) -> Sequence[str]:
        """The lines among which `place` counts."""
        cell = self.place(site).cell
        return split_lines(self.texts.get(site.file, "")) if cell is None else self.cells[site.file].source(cell)

    def stored_lines(self, file: str) -> list[str]:
        """The lines among which `stored_place` counts."""
        return split_lines(self.cells[file].text if file in self.cells else self.texts.get(file, ""))

    def in_notebook(self, finding: Finding) -> bool:
        """Whether a fix of the finding would be written into a notebook."""
        return finding.fix is not None and not finding.fix.files.isdisjoint(self.cells)

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


def position(place: Site) -> str:
    """A place within its file in words: ``3:5``, in a notebook ``cell 2:3:5``."""
    within = f"{place.line}:{place.column}"
    return within if place.cell is None else f"cell {place.cell}:{within}"


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
