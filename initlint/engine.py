"""From files to findings, and from findings to repaired texts: what joins the parts and is none of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from initlint.cells import CellMap, located
from initlint.config import Settings, load_settings
from initlint.files import find_files
from initlint.knowledge import Rule, load_knowledge, load_rules
from initlint.model import Finding, Judgement, Model, Severity, Site
from initlint.scanning import moot, scan_files
from initlint.selection import SYNTAX_ERROR, UNUSED_SUPPRESSION
from initlint.sourcefile import NOTEBOOK_SUFFIX, SourceFile, UnreadableError, decode, read
from initlint.suppress import suppress

if TYPE_CHECKING:
    from initlint.cache import Cache
    from initlint.fix import FixOptions
    from initlint.fix.verify import Rescan
    from initlint.source import SyntaxProblem
    from initlint.source.contexts import Visits

STDIN_NAME = "<stdin>"
_STARTS = ("INI1", "INI2", "INI4")


class Fixes(Enum):
    """How far the fixes of findings are worked out: who only counts them need wait for neither their edits nor a verification."""

    NONE = "none"
    DRAFTED = "drafted"
    VERIFIED = "verified"


@dataclass(frozen=True, slots=True)
class Sources:
    """The files of a run by absolute path, and a finding for each that could not be read."""

    files: Mapping[str, SourceFile]
    unreadable: tuple[Finding, ...] = ()

    @property
    def texts(self) -> dict[str, str]:
        """The text of every file by absolute path."""
        return {path: file.text for path, file in self.files.items()}

    @property
    def problems(self) -> tuple[Finding, ...]:
        """A finding for each file that could not be read, and for each cell of a notebook that is no Python."""
        return (*self.unreadable, *(found for file in self.files.values() for found in _cell_problems(file)))

    @property
    def cells(self) -> dict[str, CellMap]:
        """Where the places in the program of each notebook lie for its readers, by absolute path."""
        return {path: cells for path, file in self.files.items() if (cells := file.cells) is not None}

    def with_texts(self, texts: Mapping[str, str]) -> Sources:
        """The same files after their text was rewritten."""
        changed = {path: replace(self.files[path], text=text) for path, text in texts.items()}
        return Sources({**self.files, **changed}, self.unreadable)


@dataclass(frozen=True, slots=True)
class Reading:
    """What the scanner and the judgement made of the files."""

    models: tuple[Model, ...]
    judgements: tuple[Judgement, ...]
    findings: tuple[Finding, ...]
    visits: Visits | None = None
    deployed: bool = False
    """Whether the program only loads, so that nothing is said of how layers start of which nobody can tell that they are not loaded."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The findings of a run that are to be reported, in order, and the texts they point into."""

    findings: tuple[Finding, ...]
    sources: Sources
    reading: Reading
    stale: int = 0

    @property
    def worst(self) -> Severity | None:
        """The severity of the worst finding, None if there is none."""
        return max((finding.severity for finding in self.findings), default=None)


def read_sources(files: Iterable[Path], *, stdin: SourceFile | None = None) -> Sources:
    """The texts of `files`; one that cannot be read becomes a finding, and the run goes on."""
    found: dict[str, SourceFile] = {} if stdin is None else {str(stdin.path): stdin}
    unreadable = []
    for path in files:
        try:
            found[str(path)] = read(path)
        except UnreadableError as error:
            unreadable.append(_unreadable_finding(path, error))
    return Sources(found, tuple(unreadable))


def understand(
    texts: Mapping[str, str],
    *,
    with_findings: bool = True,
    jobs: int = 1,
    known: Visits | None = None,
    sparing: bool = False,
) -> Reading:
    """Scan, judge and check the files in `texts` (by absolute path); every rule speaks, nothing is suppressed.

    `known` are the visits of an earlier reading of the same program, of which `texts` are some files, rewritten. A `sparing`
    reading is for its findings only: it ends when no other file can speak against one.
    """
    if not texts:
        return Reading((), (), ())
    scanned = scan_files(tuple(texts), texts, jobs=jobs, known=known, sparing=sparing)
    errors = tuple(_problem_finding(problem) for problem in scanned.problems)
    if not scanned.models:
        return Reading((), (), errors, scanned.visits)
    from initlint.analysis import merge

    judgements = merge(scanned.judgements)
    if not with_findings:
        mismatches = [found for found in judgements if found.verdict == "mismatch"]
        deployed = bool(mismatches) and any(map(moot(texts, scanned), ([found] for found in mismatches)))
        return Reading(scanned.models, judgements, errors, scanned.visits, deployed)
    from initlint import checks

    found = checks.run(judgements, scanned.models, load_knowledge())
    requested = [finding for finding in found if finding.site.file in texts]
    starts = [finding for finding in requested if _is_of_a_start(finding)]
    is_moot = moot(texts, scanned) if starts else None
    idle = {id(finding) for finding in starts if is_moot is not None and is_moot(finding.judgements)}
    kept = (finding for finding in requested if id(finding) not in idle)
    return Reading(scanned.models, judgements, _in_order((*errors, *kept)), scanned.visits, bool(idle))


def check(sources: Sources, settings: Settings, *, fixes: Fixes = Fixes.VERIFIED) -> Outcome:
    """What is to be reported of `sources`: selected, not suppressed, severe enough, not in the baseline, with fixes."""
    return conclude(understand(sources.texts, jobs=settings.jobs, sparing=True), sources, settings, fixes=fixes)


def conclude(
    reading: Reading,
    sources: Sources,
    settings: Settings,
    *,
    fixes: Fixes = Fixes.VERIFIED,
    rescan: Rescan | None = None,
) -> Outcome:
    """What is to be reported of a reading of `sources`; `rescan` verifies the fixes, where a plain scan would not do."""
    texts = sources.texts
    findings = reported((*sources.problems, *reading.findings), texts, settings)
    stale = 0
    if settings.baseline is not None:
        from initlint.baseline import read_baseline, subtract

        known = read_baseline(settings.baseline)
        findings, stale = subtract(findings, known, texts, settings.baseline.parent)
    if fixes is not Fixes.NONE and findings:
        verify = fixes is Fixes.VERIFIED
        rescan = (rescan or partial(_rescan, known=reading.visits)) if verify else None
        findings = _attach(findings, texts, settings, reading.judgements, rescan)
    return Outcome(findings, sources, reading, stale)


def check_cached(sources: Sources, settings: Settings, cache: Cache, *, fixes: Fixes = Fixes.VERIFIED) -> Outcome:
    """As `check`, but from `cache` where nothing that the run depends on has changed; it then holds no models."""
    from initlint.cache import digest

    baseline = settings.baseline.read_bytes().hex() if settings.baseline and settings.baseline.is_file() else ""
    words = (repr(replace(settings, jobs=1)), baseline, fixes.value, *map(repr, sources.problems))
    key = digest(sources.texts, words)
    if key is None:
        return check(sources, settings, fixes=fixes)
    remembered = cache.read(key)
    if remembered is not None:
        (stale,), findings = cast("tuple[tuple[int], tuple[Finding, ...]]", remembered)
        return Outcome(findings, sources, Reading((), (), ()), stale)
    outcome = check(sources, settings, fixes=fixes)
    cache.write(key, ((outcome.stale,), outcome.findings))
    return outcome


def reported(found: Sequence[Finding], texts: Mapping[str, str], settings: Settings) -> tuple[Finding, ...]:
    """The findings that the selection, the comments and the least severity let through, in order."""
    selection = settings.selection
    if not found and not selection.selectors and not any("initlint:" in text.lower() for text in texts.values()):
        return ()
    rules = load_rules()
    enabled = selection.enabled(rules)
    kept, unused = suppress(found, texts, rules)
    ignored = {file: selection.ignored_in(file, rules) for file in {f.site.file for f in (*kept, *unused)}}
    findings = (
        finding
        for finding in (*kept, *unused)
        if finding.code in enabled
        and finding.code not in ignored[finding.site.file]
        and finding.severity >= settings.min_severity
    )
    return _in_order(findings)


def fix_options(settings: Settings) -> FixOptions:
    """What the settings say about the code that a fix writes."""
    from initlint.fix import FixOptions

    return FixOptions(
        style=settings.fix_style, bias=settings.fix_bias, distribution=settings.distribution, mode=settings.mode
    )


def check_paths(paths: Iterable[str | Path], *, settings: Settings | None = None) -> tuple[Finding, ...]:
    """The findings in files and folders, by the settings that the command line would find for them.

    Raises InitlintError for a path that does not exist and for a configuration that is wrong.
    """
    named = [Path(path) for path in paths]
    chosen = settings if settings is not None else load_settings(named)
    return _as_readers_count(check(read_sources(find_files(named, chosen.excludes)), chosen))


def check_source(text: str, *, filename: str = STDIN_NAME, settings: Settings | None = None) -> tuple[Finding, ...]:
    """The findings in one piece of source text; `filename` is what it would be called and need not exist."""
    return _as_readers_count(check(text_source(text, filename), settings if settings is not None else Settings()))


def text_source(text: str, filename: str) -> Sources:
    """One text as if it had been read from `filename`."""
    path = Path(filename).absolute()
    if path.suffix == NOTEBOOK_SUFFIX:
        return bytes_source(text.encode(), filename)
    return Sources({str(path): SourceFile(path, text, "utf-8", bom=False, data=text.encode())})


def bytes_source(data: bytes, filename: str) -> Sources:
    """Standard input as if it had been read from `filename`."""
    path = Path(filename).absolute()
    try:
        return Sources({str(path): decode(path, data)})
    except UnreadableError as error:
        return Sources({}, (_unreadable_finding(path, error),))


def _as_readers_count(outcome: Outcome) -> tuple[Finding, ...]:
    """The findings of a run, those in a notebook placed by cell."""
    maps = outcome.sources.cells
    return tuple(located(finding, maps) for finding in outcome.findings)


def _attach(
    findings: tuple[Finding, ...],
    texts: Mapping[str, str],
    settings: Settings,
    judgements: Iterable[Judgement],
    rescan: Rescan | None,
) -> tuple[Finding, ...]:
    """The findings with the fixes that can be written into `texts`; without a `rescan`, as far as a draft can tell."""
    rules = load_rules()
    repairable = tuple(f for f in findings if _may_be_fixed(f, rules))
    if not repairable:
        return findings
    from initlint import fix

    fixed = fix.attach(
        repairable,
        texts,
        fix_options(settings),
        rescan,
        judgements=judgements,
        heed=lambda found, within: reported(found, within, settings),
        judge=lambda within: understand(within).judgements,
    )
    writable = tuple(f if _lies_within(f, texts) else replace(f, fix=None) for f in fixed)
    return _in_order((*writable, *(f for f in findings if not _may_be_fixed(f, rules))))


def _rescan(texts: Mapping[str, str], known: Visits | None) -> tuple[Finding, ...]:
    return understand(texts, known=known).findings


def _is_of_a_start(finding: Finding) -> bool:
    """Whether a finding says how weights start, and not that code does something else than it says."""
    return finding.code.startswith(_STARTS)


def _may_be_fixed(finding: Finding, rules: Mapping[str, Rule]) -> bool:
    rule = rules.get(finding.code)
    about_the_run = finding.code in {SYNTAX_ERROR, UNUSED_SUPPRESSION}
    return not about_the_run and (rule is None or rule.fix != "none")


def _lies_within(finding: Finding, texts: Mapping[str, str]) -> bool:
    """Whether a fix writes only into files that the user named."""
    return finding.fix is None or finding.fix.files <= texts.keys()


def _in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    unique = dict.fromkeys(findings)
    return tuple(
        sorted(unique, key=lambda f: (f.site.file, f.site.line, f.site.column, f.code, f.layer or "", f.message))
    )


def _problem_finding(problem: SyntaxProblem) -> Finding:
    site = Site(problem.file, problem.line, problem.column, problem.line, problem.column + 1)
    return _syntax_finding(site, as_clause(problem.message), "mend the syntax; the rest of the run is not affected")


def _unreadable_finding(path: Path, error: UnreadableError) -> Finding:
    site = Site(str(path), error.line, error.column, error.line, error.column)
    return _syntax_finding(site, str(error), f"{error.remedy}, or exclude it")


def _cell_problems(file: SourceFile) -> Iterator[Finding]:
    for problem in file.notebook.problems(file.text) if file.notebook is not None else ():
        site = Site(str(file.path), problem.line, problem.column, problem.line, problem.column + 1)
        yield _syntax_finding(site, as_clause(problem.message), "mend the syntax; the other cells were read")


def _syntax_finding(site: Site, message: str, remedy: str) -> Finding:
    return Finding(
        code=SYNTAX_ERROR, name="syntax-error", message=message, severity=Severity.ERROR, site=site, help=remedy
    )


def as_clause(message: str) -> str:
    """Python's own wording of a syntax error as one lower-case clause without a full stop."""
    text = message.strip().rstrip(".").replace(". ", "; ")
    return text[:1].lower() + text[1:] or "invalid syntax"
