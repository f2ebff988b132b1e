"""Lighthouse's scores of each page of the built book, on its mobile profile: the median of three.

Lighthouse is a program of Node.js, which nothing else of this project needs. The version that the
weekly run uses is in ``VERSION``; ``npm install --global lighthouse@VERSION`` installs it, and the
variable ``LIGHTHOUSE`` may name another place. Scores depend on the machine and on what else it
does, so they do not decide about a change; ``tools/weigh.py`` does.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from chromium import ARGUMENTS, chromium
from hosting import hosted
from weigh import ROOT, names

VERSION = "12.8.2"
RUNS = 3
#: The least score of each category, and the most milliseconds of each time.
LEAST = {"performance": 0.95, "accessibility": 1.0, "best-practices": 1.0, "seo": 1.0}
MOST = {"interactive": 2500.0, "total-blocking-time": 100.0}
MISSING = f"""\
lighthouse is not installed, so nothing was measured. It needs Node.js:
    npm install --global lighthouse@{VERSION}
or name its program in the variable LIGHTHOUSE."""


@dataclass(frozen=True)
class Scores:
    """Medians of one page: the categories, and the times in milliseconds."""

    name: str
    values: dict[str, float]
    failed: tuple[str, ...]

    def faults(self) -> list[str]:
        """Return what misses its limit, and which audits failed."""
        low = [
            f"{key} {self.values[key]:.2f}, at least {least:.2f}"
            for key, least in LEAST.items()
            if self.values[key] < least
        ]
        slow = [
            f"{key} {self.values[key]:,.0f} ms, at most {most:,.0f}"
            for key, most in MOST.items()
            if self.values[key] > most
        ]
        audits = [f"fails {', '.join(self.failed)}"] if self.failed else []
        return [f"{self.name}: {told}" for told in (*low, *slow, *audits)]


def program() -> str | None:
    """Return the program, or nothing where it is not installed."""
    return os.environ.get("LIGHTHOUSE") or shutil.which("lighthouse")


def report(command: str, address: str) -> dict[str, Any]:
    """Return what Lighthouse says about one address, once."""
    flags = " ".join(["--headless=new", *ARGUMENTS])
    done = subprocess.run(
        [command, address, "--output=json", "--quiet", f"--chrome-flags={flags}"],
        capture_output=True,
        text=True,
        env={**os.environ, "CHROME_PATH": chromium() or ""},
    )
    if done.returncode:
        raise RuntimeError(f"lighthouse failed on {address}: {done.stderr.strip()[-500:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def scores(name: str, reports: list[dict[str, Any]]) -> Scores:
    """Return the medians of several reports of one page."""
    values = {
        key: median(float(one["categories"][key]["score"] or 0) for one in reports) for key in LEAST
    }
    values |= {
        key: median(float(one["audits"][key]["numericValue"]) for one in reports) for key in MOST
    }
    return Scores(name, values, tuple(sorted({key for one in reports for key in _failed(one)})))


def _failed(report: dict[str, Any]) -> list[str]:
    """Return the audits that cost a page points outside performance."""
    weighed = {
        reference["id"]
        for key in LEAST
        if key != "performance"
        for reference in report["categories"][key]["auditRefs"]
        if reference["weight"]
    }
    return [key for key in weighed if report["audits"][key]["score"] == 0]


def table(measured: list[Scores]) -> str:
    """Return the scores of all pages in Markdown."""
    keys = [*LEAST, *MOST]
    lines = [f"| page | {' | '.join(keys)} |", f"| --- |{' ---: |' * len(keys)}"]
    for one in measured:
        shown = [f"{one.values[key]:.2f}" for key in LEAST]
        shown += [f"{one.values[key]:,.0f} ms" for key in MOST]
        lines.append(f"| {one.name} | {' | '.join(shown)} |")
    return "\n".join(lines)


def main() -> int:
    """Measure all pages, or those named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", help="such as chapters/05_patches; all unless given")
    parser.add_argument("--folder", type=Path, default=ROOT / "_build" / "html")
    parser.add_argument("--runs", type=int, default=RUNS)
    options = parser.parse_args()
    command = program()
    if command is None:
        print(MISSING, file=sys.stderr)
        return 2
    measured = []
    with hosted(options.folder) as site:
        for name in options.pages or [name for name in names(options.folder) if name != "404"]:
            reports = [report(command, f"{site}{name}.html") for _ in range(options.runs)]
            measured.append(scores(name, reports))
            print(table(measured[-1:]).splitlines()[-1], file=sys.stderr, flush=True)
    print(table(measured))
    wrong = [fault for one in measured for fault in one.faults()]
    for fault in wrong:
        print(fault, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
