"""How much memory a run may take: what the machine has to spare, or the container that it runs in."""

from __future__ import annotations

import os
from pathlib import Path

_SHARE = 2 / 3
_GUESS = 8 * 2**30
_GROUP = Path("/sys/fs/cgroup")


def spare_memory(machine: Path = Path("/proc/meminfo"), group: Path = _GROUP) -> float:
    """Two thirds of what is free, in bytes; where the system does not say, of 8 GiB."""
    known = [free for free in (_of_machine(machine), _of_group(group)) if free is not None]
    return _SHARE * max(min(known, default=_GUESS), 0)


def _of_machine(file: Path) -> int | None:
    """What can be had without swapping: more than what is free, as the system gives back what it caches files in."""
    try:
        lines = dict(line.split(":", 1) for line in file.read_text(encoding="ascii").splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _of_group(folder: Path) -> int | None:
    """What the limit of a container leaves, None where there is none."""
    try:
        limit = (folder / "memory.max").read_text(encoding="ascii").strip()
        used = int((folder / "memory.current").read_text(encoding="ascii"))
        words = (folder / "memory.stat").read_text(encoding="ascii").split()
        cached = int(dict(zip(words[::2], words[1::2], strict=False)).get("inactive_file", "0"))
    except (OSError, ValueError):
        return None
    return int(limit) - used + cached if limit.isdigit() else None
