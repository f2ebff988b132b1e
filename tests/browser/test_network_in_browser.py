"""A network beside its perceptron, pointed at."""

import itertools

import numpy as np
import pytest

from equivlib import explore_network
from equivlib.layers import Concat, Conv, Dense, Flatten, Maximum, MaxPool, Network, ReLU

rng = np.random.default_rng(0)
NET = Network(
    [
        Conv(rng.integers(-2, 3, (2, 1, 3, 3)), rng.integers(-2, 3, 2)),
        ReLU(),
        MaxPool(2, stride=1),
        Flatten(),
        Dense(rng.integers(-2, 3, (2, 2))),
    ],
    (1, 4, 4),
)
X = rng.integers(0, 5, (1, 4, 4))


@pytest.fixture
def shown(visit):
    return visit(viewport={"width": 1000, "height": 1600}).show(explore_network(NET, X))


def cells(page, side, mark):
    """Return the units of all layers or stages with a mark: (layer or stage, unit)."""
    found = page.locator(f"[data-panel^={side}] .cell.{mark}")
    return {
        tuple(map(int, at.split(",")))
        for at in found.evaluate_all("all => all.map(cell => cell.dataset.at)")
    }


def point(page, side, layer, unit):
    page.locator(f"[data-panel='{side}{layer}'] [data-at='{layer},{unit}']").hover()


def test_at_every_unit_of_the_network_lights_its_equal_and_what_both_read(shown):
    facts = explore_network(NET, X).facts()
    for position, (stage, terms) in facts["forms"].items():
        layer = facts["layers"][position + 1]
        for unit in range(len(layer["values"])):
            point(shown, "n", position, unit)
            equals = {(stage, start + unit) for _, start in terms}
            assert cells(shown, "n", "marked") == {(position, unit)}
            assert cells(shown, "m", "marked") == equals
            if position < 0:
                continue
            assert cells(shown, "n", "on") == {(s, u) for s, u, *_ in layer["reads"][unit]}
            made = facts["stages"][stage]
            for s, i in equals:
                reads = (
                    {(s - 1, j) for j, _ in made["reads"][i]} if "reads" in made else {(s - 1, i)}
                )
                assert cells(shown, "m", "on") == reads


def test_at_every_unit_of_the_perceptron_lights_its_equal(shown):
    facts = explore_network(NET, X).facts()
    meant = {}
    for position, (stage, terms) in facts["forms"].items():
        for unit in range(len(facts["layers"][position + 1]["values"])):
            meant.setdefault((stage, terms[0][1] + unit), (position, unit))
    for number, stage in enumerate(facts["stages"]):
        for unit in range(len(stage["values"])):
            point(shown, "m", number, unit)
            expected = {meant[number, unit]} if (number, unit) in meant else set()
            assert cells(shown, "n", "marked") == expected
            assert cells(shown, "m", "marked") == {(number, unit)}
            if not expected:
                assert (
                    "no layer of the network has its output here"
                    in shown.locator("[role=status]").inner_text()
                )


def test_at_a_weight_lights_its_places_in_the_matrix(shown):
    facts = explore_network(NET, X).facts()
    for weight in range(18):
        point(shown, "k", 0, weight)
        count = sum(w == weight for reads in facts["layers"][1]["reads"] for *_, w in reads)
        assert shown.locator("[data-panel=m0]").locator("xpath=../*[1]").count() == 1
        assert shown.locator("rect.entry.on").count() == count == 4


def test_both_sums_are_written_out(shown):
    point(shown, "n", 4, 1)
    lines = shown.locator(".equation div").all_inner_texts()
    value = explore_network(NET, X).facts()["layers"][-1]["values"][1]
    assert lines[0].startswith("e1 = ")
    assert lines[2].startswith("u7[1] = ")
    assert lines[1].endswith(f"= {value}")
    assert lines[3].endswith(f"= {value}")


def test_keys_pins_and_narrow_screens(visit):
    page = visit(viewport={"width": 390, "height": 844}).show(explore_network(NET, X))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator("[data-panel=n1]").focus()
    page.keyboard.press("ArrowRight")
    assert cells(page, "n", "marked") == {(1, 1)}
    page.keyboard.press("Enter")
    page.locator("[data-panel='k0'] .cell").first.hover()
    assert cells(page, "n", "marked") == {(1, 1)}
    page.keyboard.press("Escape")
    page.locator("[data-panel='k0'] .cell").first.hover()
    assert cells(page, "n", "marked") == set()


@pytest.mark.parametrize("style", ["", "background:#121212;color:#eee"], ids=["light", "dark"])
def test_axe_finds_nothing(visit, style):
    from axe_playwright_python.sync_playwright import Axe

    page = visit().show(explore_network(NET, X), explore_network(NET, X), style=style)
    found = Axe().run(page).response["violations"]
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found] == []


def change(page, unit, text):
    """Change an input as a reader does who has a mouse and a keyboard."""
    page.locator(f"[data-panel='n-1'] [data-at='-1,{unit}']").click()
    page.locator(".field").fill(text)
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")


def values(page, side, layer):
    return page.locator(f"[data-panel='{side}{layer}'] .cell text:last-of-type").all_text_contents()


def assert_shows(page, facts):
    """Every number of both sides is what the library computes."""
    for position, layer in enumerate(facts["layers"], start=-1):
        assert values(page, "n", position) == layer["values"]
    for number, stage in enumerate(facts["stages"]):
        assert values(page, "m", number) == stage["values"]


def test_at_another_input_every_number_is_what_the_library_computes(shown):
    changed = X.copy()
    for unit, value in ((5, -3), (0, 7), (15, 100)):
        change(shown, unit, str(value))
        changed.flat[unit] = value
        facts = explore_network(NET, changed).facts()
        assert_shows(shown, facts)
        last = facts["layers"][-1]["values"]
        told = shown.locator("[role=status]").inner_text()
        assert told.startswith(
            f"{facts['layers'][0]['labels'][unit]} is now {value}: e0 = {last[0]}"
        )
    shown.get_by_role("button", name="Reset").click()
    assert values(shown, "n", -1) == [str(v) for v in X.ravel()]


def test_what_is_no_input_is_a_result_and_not_changed(shown):
    shown.locator("[data-panel=n0]").focus()
    shown.keyboard.type("5")
    assert "is a result: it follows from the input." in shown.locator("[role=status]").inner_text()
    assert shown.locator(".field").count() == 0


def test_numbers_that_are_rounded_are_not_computed_with(visit):
    net = Network([Conv([[[0.12345, 1.0]]])], (1, 3))
    page = visit().show(explore_network(net, [[1.0, 2.0, 3.0]]))
    page.locator("[data-panel='n-1']").focus()
    page.keyboard.press("Enter")
    assert "rounded as they are shown" in page.locator("[role=status]").inner_text()
    assert page.get_by_role("button", name="Reset").count() == 0


def test_a_number_is_followed_from_an_input_to_an_output(shown):
    way = []
    for _ in range(6):
        way += cells(shown, "n", "marked")
        shown.locator(".more").evaluate("more => { more.open = true; }")
        shown.get_by_role("button", name="Step on").click()
    assert sorted(layer for layer, _ in way) == [-1, 0, 1, 2, 3, 4]
    facts = explore_network(NET, X).facts()
    way.sort()
    for (layer, unit), (after, reader) in itertools.pairwise(way):
        assert [layer, unit] in [read[:2] for read in facts["layers"][after + 1]["reads"][reader]]


def test_a_maximum_is_drawn_as_a_tournament(shown):
    facts = explore_network(NET, X).facts()
    pool = facts["layers"][3]
    for unit, value in enumerate(pool["values"]):
        point(shown, "n", 2, unit)
        bracket = shown.locator(".bracket")
        texts = bracket.locator("text").all_text_contents()
        met = [facts["layers"][s + 1]["values"][u] for s, u, *_ in pool["reads"][unit]]
        assert [text for text in texts if text not in ("+1", "−1")][: len(met)] == met
        assert texts.count("+1") == texts.count("−1") == len(met) - 1
        assert bracket.get_attribute("aria-label").endswith(f"{value} wins")
    point(shown, "n", 1, 0)
    assert shown.locator(".bracket").count() == 0


JOINED = Network(
    [
        Conv([[[1, -1]], [[2, 1]]]),
        ReLU(),
        Conv([[[1, 0], [0, 1]], [[-1, 1], [0, 2]]], padding=((1, 0),)),
        Maximum(0, 2, 1),
        Concat(3, 1, 0),
        Conv(np.ones((1, 6, 1), int)),
    ],
    (1, 5),
)


def test_layers_that_join_others_are_drawn_and_follow_another_input(visit):
    x = np.array([[3, 1, 4, 1, 5]])
    page = visit(viewport={"width": 1000, "height": 1600}).show(explore_network(JOINED, x))
    for unit, value in ((1, -6), (4, 8)):
        change(page, unit, str(value))
        x.flat[unit] = value
    facts = explore_network(JOINED, x).facts()
    assert_shows(page, facts)
    for layer, readers in ((3, 3), (4, 1)):
        reads = facts["layers"][layer + 1]["reads"]
        for unit, read in enumerate(reads):
            point(page, "n", layer, unit)
            assert cells(page, "n", "on") == {(s, u) for s, u, *_ in read}
            assert len(read) == readers
            stage, terms = facts["forms"][layer]
            assert cells(page, "m", "marked") == {(stage, start + unit) for _, start in terms}
            assert page.locator(".bracket").count() == (layer == 3)
    told = page.locator(".equation div").all_inner_texts()
    assert told[1] == f"= {facts['layers'][5]['values'][-1]}"


def test_the_tournament_of_a_maximum_of_three_layers_has_a_bye(visit):
    page = visit().show(explore_network(JOINED, [[3, 1, 4, 1, 5]], start="d02"))
    texts = page.locator(".bracket text").all_text_contents()
    layers = explore_network(JOINED, [[3, 1, 4, 1, 5]]).facts()["layers"]
    assert texts[:3] == [layers[layer + 1]["values"][2] for layer in (0, 2, 1)]
    assert texts.count("+1") == texts.count("−1") == 2
    won = page.locator(".way.won").count()
    assert won >= 3  # the winner of each round, and the one that waits


def test_it_starts_where_a_page_asks_and_stays_there(visit):
    page = visit(reduced_motion="no-preference").show(explore_network(NET, X, start="b011"))
    page.wait_for_timeout(1500)
    assert cells(page, "n", "marked") == {(1, 3)}


def test_a_link_leads_back_to_the_input_and_the_unit(visit, tmp_path):
    path = tmp_path / "page.html"
    shown = explore_network(NET, X)._repr_html_()
    path.write_text(f"<!doctype html><meta charset=utf-8><main><p>{shown}", "utf-8")
    page = visit().page
    page.goto(path.as_uri())
    change(page, 3, "-8")
    point(page, "n", 1, 2)
    page.locator(".more").evaluate("more => { more.open = true; }")
    page.get_by_role("button", name="Link to this state").click()
    again = visit().page
    again.goto(page.url)
    for layer in range(-1, 5):
        assert values(again, "n", layer) == values(page, "n", layer)
    assert cells(again, "n", "marked") == {(1, 2)}
