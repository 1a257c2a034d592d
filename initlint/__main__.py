"""`python -m initlint` is `initlint`."""

from __future__ import annotations

from initlint.cli import run

if __name__ == "__main__":
    run()
