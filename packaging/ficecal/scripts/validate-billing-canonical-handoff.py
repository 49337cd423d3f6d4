#!/usr/bin/env python3
"""Validate the billing fixture packs with custody (VAL-1).

Stands where the repository's own script stood: same invocation from any directory, same exit status (0 or 1), same
last line on success. custody says what is wrong with file, line, column and JSON pointer before the last line.

The binary is looked for in CUSTODY_BIN, then node_modules/.bin of the repository, then PATH. Arguments are handed on
(`--compat` gives the verdict of the script that was replaced, `--env prod` checks as production would).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

REPO_ROOT = Path(__file__).resolve().parents[1]
PACKS = "tests/contracts/fixtures/mcp"
NAME = "[billing-canonical-handoff]"


def fail(message: str) -> None:
    print(f"{NAME} ERROR: {message}")
    sys.exit(1)


def custody() -> str:
    """The binary's path."""
    configured = os.environ.get("CUSTODY_BIN", "")
    if configured:
        found = shutil.which(configured)
        if found is None:
            fail("CUSTODY_BIN names no executable file")
        # A relative path was meant relative to the caller's directory.
        return str(Path(found).resolve()) if os.sep in configured else found
    local = REPO_ROOT / "node_modules" / ".bin"
    found = shutil.which("custody", path=str(local)) or shutil.which("custody")
    if found is None:
        fail("custody is not installed: put it on PATH, into node_modules/.bin, or name it in CUSTODY_BIN")
    return found


def main() -> None:
    command = [custody(), "billing", "validate", "--packs", PACKS, "--ficecal", *sys.argv[1:]]
    sys.stdout.flush()
    try:
        status = subprocess.run(command, cwd=REPO_ROOT, check=False).returncode
    except OSError as error:
        fail(f"custody cannot be started: {error.strerror}")
    # custody tells wrong use (2) and incomplete (3) apart; the repository's validators know 0 and 1.
    if status not in (0, 1):
        fail(f"custody ended with status {status}")
    sys.exit(status)


if __name__ == "__main__":
    main()
