"""Small changes of the guarding cells: at most one in fifty goes unnoticed."""

import mutants
import pytest
import replay


@pytest.mark.slow
@pytest.mark.parametrize("stem", replay.stems())
def test_at_most_two_in_a_hundred_mutants_of_guarding_cells_survive(stem):
    replay.warm_up()
    report = mutants.study(stem)
    told = "\n".join(f"{target}: {mutant}" for target, mutant in report.survivors)
    assert report.share <= 0.02, told
    assert report.unused == []


@pytest.mark.parametrize("stem", replay.stems())
def test_every_equivalent_mutant_is_one_of_its_cell(stem):
    made = {
        (target, mutant.line, mutant.change)
        for cell in replay.cells(replay.notebook(stem))
        for mutant in (mutants.mutants(cell.source) if cell.targets else ())
        for target in cell.targets
    }
    listed = mutants.load(stem).items()
    assert {(target, e["line"], e["change"]) for target, es in listed for e in es} <= made


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        ("assert f(n - 1) == n", ["n - 1 -> n + 1", "1 -> 2", "1 -> 0"]),
        ("assert a <= b", ["a <= b -> a < b"]),
        ("assert a != b and c", ["a != b and c -> a != b or c", "a != b -> a == b"]),
        ("y = x[i]", ["x[i] -> x[i - 1]"]),
        ("y = min(x)", ["min(x) -> max(x)"]),
        # Sizes, seeds, data, printing, and what is only shown.
        ("n, m = 7, 3", []),
        ("kernel = np.array([1, 2, 3])", []),
        ("rng = np.random.default_rng(2)", []),
        ("for n in range(1, 7): f(n)", []),
        ("f(x, stride=2)", []),
        ("print(n - 1)\nx = f(f'{n - 1}')", []),
        ("y = x\ny + 1", []),
    ],
)
def test_what_is_changed_and_what_is_not(source, changes):
    assert [mutant.change for mutant in mutants.mutants(source)] == changes


def test_a_change_leaves_the_rest_of_the_cell_as_it_is():
    source = "é = 'é'  # π\nassert f(\n    n - 1,\n) == 2"
    first = mutants.mutants(source)[0]
    assert first.source == "é = 'é'  # π\nassert f(\n    (n + 1),\n) == 2"
    assert first.line == "n - 1,"
