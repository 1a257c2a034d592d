"""Findings for people: with the code they point at, one a line, or by file."""

from __future__ import annotations

from collections import Counter

from initlint.model import Finding
from initlint.report.frame import frame
from initlint.report.style import Style
from initlint.report.view import View, count, measure, severities


def full(view: View) -> str:
    """A code frame for every finding, its measure, what to write instead, and where the activation is."""
    style = Style(view.color)
    blocks = [_block(finding, view, style) for finding in view.findings]
    closing = _closing(view, style)
    return "\n".join([*blocks, closing] if closing else blocks)


def concise(view: View) -> str:
    """One line for every finding."""
    style = Style(view.color)
    rows = []
    for finding in view.findings:
        place = f"{style.bold(view.path(finding.site.file))}:{view.position(finding.site)}:"
        rows.append(f"{place} {_headline(finding, view, style)}\n")
    return "".join([*rows, _closing(view, style)])


def grouped(view: View) -> str:
    """The findings below the file that they are in."""
    style = Style(view.color)
    out = []
    for file, findings in view.by_file.items():
        width = max(len(view.position(finding.site)) for finding in findings)
        out.append(f"{style.bold(view.path(file))}:\n")
        out += [f"  {view.position(f.site).ljust(width)}  {_headline(f, view, style)}\n" for f in findings]
        out.append("\n")
    return "".join([*out, _closing(view, style)])


def statistics(view: View) -> str:
    """How many findings each rule has, most first."""
    style = Style(view.color)
    tally = Counter((finding.code, finding.name) for finding in view.findings)
    fixable = {finding.code for finding in view.findings if view.applicable(finding)}
    rows = sorted(tally.items(), key=lambda item: (-item[1], item[0]))
    width = max((len(str(amount)) for _, amount in rows), default=0)
    return "".join(
        f"{style.bold(str(amount).rjust(width))}\t{code}\t{style.good('[*]') if code in fixable else '[ ]'} {name}\n"
        for (code, name), amount in rows
    )


def _block(finding: Finding, view: View, style: Style) -> str:
    site = view.place(finding.site)
    places = [view.place(related.site) for related in finding.related]
    gutter = max(len(str(place.line + 2)) for place in (site, *places))
    pad = " " * gutter
    out = [
        _headline(finding, view, style),
        f"{pad}{style.frame('-->')} {view.path(site.file)}:{view.position(finding.site)}",
        *frame(view.lines(finding.site), site, style, label=measure(finding), gutter=gutter, severity=finding.severity),
    ]
    for related, place in zip(finding.related, places, strict=True):
        arrow = f"{pad}{style.frame(':::')} {view.path(place.file)}:{view.position(related.site)}"
        drawn = frame(view.lines(related.site), place, style, label=related.message, context=0, gutter=gutter)
        out += [arrow, *drawn] if drawn else [f"{arrow} {related.message}"]
    equals = style.frame("=")
    if finding.help:
        out.append(f"{pad} {equals} {style.bold('help')}: {finding.help}")
    if finding.fix:
        how = "" if view.applicable(finding) else " (unsafe: `--unsafe-fixes` applies it)"
        out.append(f"{pad} {equals} {style.bold('fix')}: {finding.fix.title}{how}")
    return "\n".join(out) + "\n"


def _headline(finding: Finding, view: View, style: Style) -> str:
    code = style.severity(finding.code, finding.severity)
    mark = f"{style.good('[*]')} " if view.applicable(finding) else ""
    return f"{code} {mark}{finding.severity.label}: {finding.message}"


def _closing(view: View, style: Style) -> str:
    """How many findings there are and how many could be repaired; what was repaired, where that is asked for."""
    out = [_fixes_made(view, style)] if view.show_fixes and view.fixed else []
    total = len(view.findings) + len(view.fixed)
    if view.quiet:
        return ""
    if not total:
        return style.good("All checks passed!") + "\n"
    if view.fixed:
        remaining = len(view.findings)
        out.append(f"Found {count(total, 'finding')} ({len(view.fixed)} fixed, {remaining} remaining).\n")
    else:
        out.append(f"Found {count(total, 'finding')} ({severities(view.findings)}).\n")
    safe = sum(finding.fix is not None and finding.fix.applicability == "safe" for finding in view.findings)
    unsafe = sum(finding.fix is not None for finding in view.findings) - safe
    if view.unsafe_fixes and safe + unsafe:
        out.append(f"{style.good('[*]')} {safe + unsafe} fixable with `--fix --unsafe-fixes`.\n")
    elif safe:
        more = f" ({unsafe} more with `--unsafe-fixes`)" if unsafe else ""
        out.append(f"{style.good('[*]')} {safe} fixable with `--fix`{more}.\n")
    elif unsafe:
        out.append(f"No fixes available ({unsafe} with `--fix --unsafe-fixes`).\n")
    return "".join(out)


def _fixes_made(view: View, style: Style) -> str:
    tally = Counter((view.path(f.site.file), f.code, f.name) for f in view.fixed)
    out = [f"Fixed {count(len(view.fixed), 'finding')}:\n"]
    for file in dict.fromkeys(path for path, _, _ in tally):
        out.append(f"- {style.bold(file)}:\n")
        out += [f"    {amount} x {code} ({name})\n" for (path, code, name), amount in tally.items() if path == file]
    return "".join(out) + "\n"
