"""Comments that silence findings, and those that silence nothing."""

from __future__ import annotations

import io
import re
import tokenize
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from initlint.fingerprint import split_lines
from initlint.knowledge import Rule
from initlint.model import Edit, Finding, Fix, Severity, Site
from initlint.selection import MEASURED, SYNTAX_ERROR, UNUSED_SUPPRESSION, covers

_OWN = re.compile(
    r"#\s*initlint:\s*(?P<verb>[\w-]*)(?P<list>\s*\[(?P<selectors>[^\]#]*)\])?",
    re.IGNORECASE,
)
_NOQA = re.compile(
    r"#\s*noqa\b(?P<list>\s*:\s?(?P<selectors>[A-Za-z][\w-]*(?:[,\s]+[A-Za-z]+\d+|,\s*[a-z][\w-]*)*))?(?P<colon>\s*:)?",
    re.IGNORECASE,
)
_SELECTOR = re.compile(r"[A-Z]+\d+|[a-z]+(?:-[a-z]+)+", re.IGNORECASE)
_LAYOUT = frozenset({tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING})


@dataclass(frozen=True, slots=True)
class Directive:
    """One comment that silences: `selectors` None means every rule, `own` that it is addressed to initlint alone.

    `extent` is what to delete to be rid of it, None where its comment says something else too.
    """

    site: Site
    selectors: tuple[str, ...] | None
    own: bool
    extent: Site | None = None
    whole_file: bool = False
    known: bool = True

    def silences(self, rule: Rule | None, code: str) -> bool:
        """Whether the directive speaks of a rule."""
        return self.known and (self.selectors is None or any(_means(s, rule, code) for s in self.selectors))


@dataclass(frozen=True, slots=True)
class Suppressions:
    """What the comments of one file silence.

    `statements` are first and last line of each logical line, in order; `open_lines` those at whose end a comment may
    be written: not inside a string, not before a continuation.
    """

    directives: tuple[Directive, ...]
    statements: tuple[tuple[int, int], ...]
    open_lines: frozenset[int] = frozenset()

    def covering(self, finding: Finding, rule: Rule | None) -> tuple[Directive, ...]:
        """The directives that silence `finding`: on its own lines, or on those its statement begins and ends with."""
        lines = {finding.site.line, finding.site.end_line, *self.statement(finding.site.line)}
        return tuple(
            directive
            for directive in self.directives
            if directive.silences(rule, finding.code) and (directive.whole_file or directive.site.line in lines)
        )

    def statement(self, line: int) -> tuple[int, int]:
        """The first and last line of the logical line that `line` belongs to."""
        position = bisect_right(self.statements, line, key=lambda span: span[0]) - 1
        if position >= 0 and self.statements[position][1] >= line:
            return self.statements[position]
        return line, line


def suppress(
    findings: Sequence[Finding], texts: Mapping[str, str], rules: Mapping[str, Rule]
) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """The findings that no comment silences, and an INI901 for every comment of initlint's own that silences none.

    `findings` are those of all rules, selected or not: a comment is of use if any rule needs it. `texts` are the
    files by absolute path.
    """
    with_findings = {finding.site.file for finding in findings}
    read = {
        file: read_suppressions(file, text) for file, text in texts.items() if _may_hold(text, file in with_findings)
    }
    kept: list[Finding] = []
    used: set[tuple[Site, str | None]] = set()
    for finding in findings:
        rule = rules.get(finding.code)
        suppressions = read.get(finding.site.file)
        covering = suppressions.covering(finding, rule) if suppressions else ()
        used.update(mark for directive in covering for mark in _marks(directive, rule, finding.code))
        if not covering:
            kept.append(finding)
    broken = {finding.site.file for finding in findings if finding.code == SYNTAX_ERROR}
    unused = tuple(
        finding
        for file, suppressions in read.items()
        if file not in broken
        for finding in _unused(suppressions, used, rules)
    )
    return tuple(kept), unused


def read_suppressions(file: str, text: str) -> Suppressions:
    """The directives of one file; none where the text cannot be tokenized."""
    directives: list[Directive] = []
    statements: list[tuple[int, int]] = []
    open_lines: set[int] = set()
    start: int | None = None
    lines = split_lines(text)
    try:
        for token in tokenize.generate_tokens(io.StringIO("\n".join(lines)).readline):
            if token.type in {tokenize.NL, tokenize.NEWLINE}:
                open_lines.add(token.start[0])
            if token.type == tokenize.COMMENT:
                directives.extend(_directives(file, token, is_last=token.start[0] == len(lines)))
            elif token.type == tokenize.NEWLINE:
                statements.append((start or token.start[0], token.start[0]))
                start = None
            elif token.type not in _LAYOUT and start is None:
                start = token.start[0]
    except (tokenize.TokenError, SyntaxError):
        return Suppressions((), ())
    return Suppressions(tuple(directives), tuple(statements), frozenset(open_lines))


def _may_hold(text: str, has_findings: bool) -> bool:  # noqa: FBT001 - a private question with one obvious reading
    folded = text.lower()
    return "initlint:" in folded or (has_findings and "noqa" in folded)


def _directives(file: str, token: tokenize.TokenInfo, *, is_last: bool) -> Iterator[Directive]:
    for match in _OWN.finditer(token.string):
        verb = match["verb"].lower()
        known = verb in {"ignore", "ignore-file"}
        if not known and not match["list"] and not re.match(r"=|\s*$", token.string[match.end() :]):
            continue  # prose
        yield Directive(
            site=_site(file, token, match.span()),
            selectors=_split(match["selectors"]) if match["list"] else None,
            own=True,
            extent=_extent(file, token, is_last=is_last) if match.group() == token.string.rstrip() else None,
            whole_file=verb == "ignore-file",
            known=known,
        )
    for match in _NOQA.finditer(token.string):
        if match["colon"] and not match["list"]:
            continue
        selectors = tuple(_SELECTOR.findall(match["selectors"])) if match["list"] else None
        yield Directive(_site(file, token, match.span()), selectors, own=False)


def _site(file: str, token: tokenize.TokenInfo, span: tuple[int, int]) -> Site:
    line, column = token.start
    return Site(file, line, column + 1 + span[0], line, column + 1 + span[1])


def _extent(file: str, token: tokenize.TokenInfo, *, is_last: bool) -> Site:
    """A comment with the blanks before it, or its whole line if it stands alone on one."""
    line, column = token.start
    code = token.line[:column].rstrip()
    if code or is_last:
        return Site(file, line, len(code) + 1, line, column + len(token.string) + 1)
    return Site(file, line, 1, line + 1, 1)


def _split(selectors: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in selectors.split(",") if part.strip())


def _means(selector: str, rule: Rule | None, code: str) -> bool:
    return covers(selector, rule) if rule is not None else code.startswith(selector.upper())


def _marks(directive: Directive, rule: Rule | None, code: str) -> Iterator[tuple[Site, str | None]]:
    """What of a directive is used by a finding: each selector by itself, or all of it."""
    if directive.selectors is None:
        yield directive.site, None
    for selector in directive.selectors or ():
        if _means(selector, rule, code):
            yield directive.site, selector


def _unused(
    suppressions: Suppressions, used: set[tuple[Site, str | None]], rules: Mapping[str, Rule]
) -> Iterator[Finding]:
    rule = rules.get(UNUSED_SUPPRESSION)
    own = [directive for directive in suppressions.directives if directive.own]
    hushed = any(d.whole_file and d.selectors and d.silences(rule, UNUSED_SUPPRESSION) for d in own)
    if hushed:
        return
    for directive in own:
        if not directive.known:
            yield _finding(directive, "the comment is no suppression that initlint knows", (), rule)
        elif directive.selectors is None:
            if (directive.site, None) not in used:
                yield _finding(directive, "the comment silences nothing", (), rule)
        else:
            idle = [s for s in directive.selectors if (directive.site, s) not in used and _checkable(s, rules)]
            if idle or not directive.selectors:
                kept = tuple(s for s in directive.selectors if s not in idle)
                yield _finding(directive, _idle_message(idle, rules), kept, rule)


def _checkable(selector: str, rules: Mapping[str, Rule]) -> bool:
    """Whether reading code could have found what `selector` silences; measured findings come from a live module."""
    meant = [rule for rule in rules.values() if covers(selector, rule)]
    return not meant or any(not rule.code.startswith(MEASURED) for rule in meant)


def _idle_message(idle: Sequence[str], rules: Mapping[str, Rule]) -> str:
    unknown = [s for s in idle if not any(covers(s, rule) for rule in rules.values())]
    if unknown:
        return f"the comment names {_listed(unknown)}, which {'is no rule' if len(unknown) == 1 else 'are no rules'}"
    if not idle:
        return "the comment names no rule"
    return f"the comment silences {_listed(idle)}, which {'finds' if len(idle) == 1 else 'find'} nothing here"


def _listed(words: Iterable[str]) -> str:
    return " and ".join(f"`{word}`" for word in words)


def _finding(directive: Directive, message: str, kept: tuple[str, ...], rule: Rule | None) -> Finding:
    known = directive.known
    return Finding(
        code=UNUSED_SUPPRESSION,
        name=rule.name if rule else "unused-suppression",
        message=message,
        severity=Severity.INFO,
        site=directive.site,
        help="remove it" if known else "write `# initlint: ignore[CODE]` or `# initlint: ignore-file`",
        fix=_removal(directive, kept) if known else None,
    )


def _removal(directive: Directive, kept: tuple[str, ...]) -> Fix | None:
    """The fix that takes out what is idle: the selectors, or the whole comment where the directive is all of it."""
    if kept:
        verb = "ignore-file" if directive.whole_file else "ignore"
        return Fix("Remove the idle rules", "safe", (_edit(directive.site, f"# initlint: {verb}[{', '.join(kept)}]"),))
    if directive.extent is None:
        return None
    return Fix("Remove the comment", "safe", (_edit(directive.extent, ""),))


def _edit(site: Site, content: str) -> Edit:
    return Edit(site.file, site.line, site.column, site.end_line, site.end_column, content)
