#!/usr/bin/env python3
"""Put custody into a FiceCal checkout: `python3 install.py /path/to/checkout`.

Copies the validator shims and the contract file, and adds custody to the `validate` chain of package.json. Running it
again changes nothing. A file that it does not know is left alone, unless --force is given: then the file is kept
beside the new one as *.orig, and never a second time over an older *.orig. Standard library only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import stat
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FILES = {
    "scripts/validate-billing-canonical-handoff.py": 0o755,
    "scripts/validate-custody.mjs": 0o755,
    "custody.toml": 0o644,
}
# SHA-256 of FiceCal's own script, with line ends as \n: the file that the shim is made to replace.
KNOWN = {"scripts/validate-billing-canonical-handoff.py": {"13e394e000c6171e201fbdd1f5eeb4d47e831c583bde7c10a8b66a9fabc34dd8"}}


class Refused(Exception):
    """Something that must be decided by a person."""


def digest(content: bytes) -> str:
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()


def write(path: Path, content: bytes, mode: int) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".custody-new")
    draft.write_bytes(content)
    draft.chmod(mode)
    os.replace(draft, path)


def place(root: Path, name: str, mode: int, force: bool) -> str:
    source, target = HERE / name, root / name
    content = source.read_bytes()
    if target.is_symlink():
        raise Refused(f"{name} is a symbolic link; replace it by a file first")
    if not target.exists():
        write(target, content, mode)
        return "added"
    present = target.read_bytes()
    if digest(present) == digest(content):
        return "unchanged"
    known = digest(present) in KNOWN.get(name, set())
    if not known and not force:
        raise Refused(f"{name} is not a file that this installer knows; look at it, then use --force")
    keep = target.with_name(target.name + ".orig")
    if keep.exists() and digest(keep.read_bytes()) != digest(present):
        raise Refused(f"{name}.orig is already there and differs; move it away first")
    keep.write_bytes(present)
    keep.chmod(stat.S_IMODE(target.stat().st_mode))
    write(target, content, mode)
    return f"replaced, the old file is {name}.orig"


def package(root: Path) -> str:
    """Adds what is missing to package.json, and keeps its order and indentation."""
    path = root / "package.json"
    if not path.exists():
        return "not there, nothing to chain into"
    text = path.read_text(encoding="utf-8")
    document = json.loads(text)
    wanted = json.loads((HERE / "package.scripts.json").read_text(encoding="utf-8"))
    scripts = document.setdefault("scripts", {})
    before = json.dumps(document)
    for name, command in wanted["scripts"].items():
        scripts.setdefault(name, command)
        if scripts[name] != command:
            raise Refused(f"package.json has another script named {name}")
    chain = scripts.get("validate", "")
    if wanted["chain"] not in chain.split(" && "):
        scripts["validate"] = f"{chain} && {wanted['chain']}" if chain else wanted["chain"]
    if json.dumps(document) == before:
        return "unchanged"
    second = text.splitlines()[1] if text.count("\n") > 1 else "  "
    indent = second[: len(second) - len(second.lstrip())] or "  "
    content = json.dumps(document, indent=indent, ensure_ascii=False) + ("\n" if text.endswith("\n") else "")
    write(path, content.encode("utf-8"), stat.S_IMODE(path.stat().st_mode))
    return "custody is in the validate chain"


def main() -> int:
    parser = argparse.ArgumentParser(description="Put custody into a FiceCal checkout.")
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--force", action="store_true", help="replace files that the installer does not know; they are kept as *.orig")
    arguments = parser.parse_args()
    root = arguments.checkout
    if not (root / "tests" / "contracts" / "fixtures" / "mcp").is_dir():
        print(f"error: {root} is no FiceCal checkout: it has no tests/contracts/fixtures/mcp", file=sys.stderr)
        return 2
    refused = 0
    steps = [(name, lambda name=name, mode=mode: place(root, name, mode, arguments.force)) for name, mode in FILES.items()]
    for name, step in [*steps, ("package.json", lambda: package(root))]:
        try:
            print(f"{name}: {step()}")
        except Refused as error:
            refused += 1
            print(f"error: {error}", file=sys.stderr)
        except (OSError, ValueError) as error:
            refused += 1
            print(f"error: {name}: {error}", file=sys.stderr)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
