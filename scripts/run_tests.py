#!/usr/bin/env python3
"""Runs the unit tests (ctest) and the Python tests (pytest), and ends with one line: `N passed, N failed, N skipped`.

Arguments after `--` go to pytest. Exit code 0 means that there were tests and that all passed.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[1]


def counts(report: pathlib.Path) -> tuple[int, int, int]:
    """Passed, failed and skipped tests of a JUnit report; one failure when there is no report."""
    if not report.exists():
        return 0, 1, 0
    root = xml.etree.ElementTree.parse(report).getroot()
    suites = [root] if root.tag == "testsuite" else root.findall("testsuite")
    n_tests, n_failed, n_skipped = 0, 0, 0
    for suite in suites:
        n_tests += int(suite.get("tests", 0))
        n_failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        n_skipped += int(suite.get("skipped", 0)) + int(suite.get("disabled", 0))
    return n_tests - n_failed - n_skipped, n_failed, n_skipped


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--unit-only", action="store_true", help="leave pytest out")
    parser.add_argument("pytest_arguments", nargs="*")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        unit_report, python_report = pathlib.Path(scratch) / "unit.xml", pathlib.Path(scratch) / "python.xml"
        codes = [subprocess.run(["ctest", "--test-dir", str(arguments.build), "--output-on-failure", "--no-tests=error", "--timeout", "300",
                                 "--output-junit", str(unit_report)], stdin=subprocess.DEVNULL).returncode]
        totals = [counts(unit_report)]
        if not arguments.unit_only:
            environment = dict(os.environ, QUERN=str(arguments.build.resolve() / "quern"))
            codes.append(subprocess.run([sys.executable, "-m", "pytest", "-ra", f"--junitxml={python_report}", *arguments.pytest_arguments,
                                         "tests"], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL).returncode)
            totals.append(counts(python_report))
    passed, failed, skipped = (sum(column) for column in zip(*totals))
    if any(codes) and failed == 0:
        failed = 1  # a suite that could not run
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
