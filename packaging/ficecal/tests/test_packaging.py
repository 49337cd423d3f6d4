"""The shims and the installer, against a checkout made of the test data. Run: python3 -m unittest discover -s packaging/ficecal/tests

A stand-in for the binary records how it is called; with CUSTODY_BIN set, the real one is tried, too.
"""

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
OK = "[billing-canonical-handoff] OK: validated 4 billing tool fixture packs"
SHIM = "scripts/validate-billing-canonical-handoff.py"


class Checkout(unittest.TestCase):
    def setUp(self):
        self.directory = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory)
        self.root = self.directory / "ficecal"
        shutil.copytree(HERE / "testdata" / "ficecal", self.root)
        package = {"name": "x", "scripts": {"validate": "npm run validate:docs-links", "validate:docs-links": "true"}}
        (self.root / "package.json").write_text(json.dumps(package, indent=4) + "\n")

    def install(self, *arguments):
        command = [sys.executable, HERE / "install.py", self.root, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def fake(self, status, line=OK):
        path = self.directory / "custody"
        path.write_text(f"#!/bin/sh\necho \"$PWD $*\" > {self.directory}/called\necho '{line}'\nexit {status}\n")
        path.chmod(0o755)
        return path

    def shim(self, environment, cwd="/", *arguments):
        base = {"PATH": "/usr/bin:/bin"}
        command = [sys.executable, self.root / SHIM, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=base | environment)

    def test_the_shim_calls_custody_from_any_directory(self):
        self.install()
        outcome = self.shim({"CUSTODY_BIN": str(self.fake(0))}, "/", "--compat")
        self.assertEqual((outcome.returncode, outcome.stdout.splitlines()[-1]), (0, OK))
        called = (self.directory / "called").read_text().strip()
        wanted = "billing validate --packs tests/contracts/fixtures/mcp --ficecal --compat"
        self.assertEqual(called, f"{self.root.resolve()} {wanted}")

    def test_the_shim_ends_with_0_or_1_and_one_error_line(self):
        self.install()
        for status in (1, 2, 3, 70):
            fake = self.fake(status, "[billing-canonical-handoff] ERROR: x" if status == 1 else "y")
            outcome = self.shim({"CUSTODY_BIN": str(fake)})
            self.assertEqual(outcome.returncode, 1)
            self.assertTrue(outcome.stdout.splitlines()[-1].startswith("[billing-canonical-handoff] ERROR: "))
        for environment in ({}, {"CUSTODY_BIN": "/nowhere/custody"}):
            outcome = self.shim(environment)
            self.assertEqual(outcome.returncode, 1)
            self.assertIn("CUSTODY_BIN", outcome.stdout)

    def test_the_shim_prefers_the_repositorys_own_binary(self):
        self.install()
        bins = self.root / "node_modules" / ".bin"
        bins.mkdir(parents=True)
        shutil.copy(self.fake(0), bins / "custody")
        self.assertEqual(self.shim({}).returncode, 0)

    def test_installing_twice_changes_nothing(self):
        first = self.install()
        self.assertEqual(first.returncode, 0, first.stderr)
        state = {p: (p.read_bytes(), stat.S_IMODE(p.stat().st_mode)) for p in self.root.rglob("*") if p.is_file()}
        second = self.install()
        self.assertEqual(second.returncode, 0, second.stderr)
        self.assertEqual(state, {p: (p.read_bytes(), stat.S_IMODE(p.stat().st_mode)) for p in self.root.rglob("*") if p.is_file()})
        package = (self.root / "package.json").read_text()
        self.assertEqual(json.loads(package)["scripts"]["validate"], "npm run validate:docs-links && npm run validate:custody")
        self.assertIn('\n    "name"', package)

    def test_an_unknown_file_is_kept(self):
        target = self.root / SHIM
        target.parent.mkdir()
        target.write_text("mine\n")
        refused = self.install()
        self.assertEqual((refused.returncode, target.read_text()), (1, "mine\n"))
        self.assertEqual(self.install("--force").returncode, 0)
        self.assertEqual((self.root / (SHIM + ".orig")).read_text(), "mine\n")
        target.write_text("mine again\n")
        self.assertEqual(self.install("--force").returncode, 1)
        self.assertEqual((self.root / (SHIM + ".orig")).read_text(), "mine\n")

    def test_a_directory_that_is_no_checkout_is_refused(self):
        shutil.rmtree(self.root / "tests")
        self.assertEqual(self.install().returncode, 2)

    @unittest.skipUnless(shutil.which("node"), "node is not installed")
    def test_the_node_script_runs_custody_check(self):
        self.install()
        for status, expected in ((0, 0), (1, 1), (3, 1)):
            environment = os.environ | {"CUSTODY_BIN": str(self.fake(status, "x"))}
            command = ["node", self.root / "scripts" / "validate-custody.mjs"]
            outcome = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", env=environment)
            self.assertEqual(outcome.returncode, expected, outcome.stdout)
            self.assertTrue((self.directory / "called").read_text().strip().endswith("check --no-incident"))

    @unittest.skipUnless(os.environ.get("CUSTODY_BIN"), "CUSTODY_BIN is not set")
    def test_the_real_binary_gives_the_first_users_verdict(self):
        self.install()
        environment = {"CUSTODY_BIN": os.environ["CUSTODY_BIN"]}
        outcome = self.shim(environment)
        self.assertEqual((outcome.returncode, outcome.stdout.splitlines()[-1]), (0, OK), outcome.stderr)
        (self.root / "tests/contracts/fixtures/mcp/billing.aws.ingest/1.0/response.expected.json").write_text("{}")
        outcome = self.shim(environment)
        self.assertEqual(outcome.returncode, 1)
        self.assertTrue(outcome.stdout.splitlines()[-1].startswith("[billing-canonical-handoff] ERROR: "))


if __name__ == "__main__":
    unittest.main()
