"""Counts the cases of other projects' suites that pass, and prints them with all that did not.

A test belongs to a case through its parameter `case`, which has a `suite` and a `name`. A case is
counted once: it passes if all of its tests do.
"""

from collections import defaultdict
from pathlib import Path

KEY = "conformance"

#: Marks in scipy's own tests, unknown here; none is on the table that is read from them.
MARKS_OF_SCIPY = (
    "array_api_backends",
    "fail_slow",
    "iterations",
    "parallel_threads",
    "parallel_threads_limit",
    "skip_xp_backends",
    "slow",
    "thread_unsafe",
    "timeout",
    "uses_xp_capabilities",
    "xfail_on_32bit",
    "xfail_xp_backends",
    "xslow",
)


def pytest_configure(config):
    for name in MARKS_OF_SCIPY:
        config.addinivalue_line("markers", f"{name}: of scipy's own tests, without effect here")


def pytest_itemcollected(item):
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    if "case" in parameters:
        case = parameters["case"]
        item.user_properties.append((KEY, (case.suite, case.name)))


def pytest_terminal_summary(terminalreporter):
    outcomes, missing = outcomes_of(terminalreporter.stats)
    if not outcomes and not missing:
        return
    terminalreporter.section("conformance")
    for suite, cases in outcomes.items():
        passed = sum(not troubles for troubles in cases.values())
        terminalreporter.line(f"{suite} {passed} of {len(cases)}")
        for name, troubles in cases.items():
            for trouble in sorted(troubles):
                terminalreporter.line(f"    {name}: {trouble}")
    for file, reason in sorted(missing):  # once, though pytest looks for tests and for doctests
        terminalreporter.line(f"{file} not run: {reason}")


def outcomes_of(stats):
    """Return what kept each case from passing, and the files of which nothing was run."""
    outcomes, missing = defaultdict(lambda: defaultdict(set)), set()
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in stats.get(outcome, ()):
            cases = [value for key, value in getattr(report, "user_properties", ()) if key == KEY]
            for suite, name in cases:
                troubles = outcomes[suite][name]
                if outcome == "skipped":
                    troubles.add(reason_of(report))
                elif outcome != "passed":
                    troubles.add(outcome)
            if outcome == "skipped" and not cases and is_file_of_this_folder(report):
                missing.add((Path(report.nodeid).name, reason_of(report)))
    return outcomes, missing


def reason_of(report):
    return report.longrepr[2].removeprefix("Skipped: ")


def is_file_of_this_folder(report):
    file = Path(report.nodeid)
    return file.suffix == ".py" and file.parent.name == Path(__file__).parent.name
