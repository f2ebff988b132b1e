"""Every chapter is whole: executed, in the normal form, with all its parts."""

import ast
import re
import subprocess
import sys

import notebooks
import pytest
from conftest import CHAPTERS, PROTOCOL, ROOT, TEN_MINUTES, read

#: The form of a chapter.
PARTS = [
    "The question",
    "The short answer",
    "The picture",
    "The idea",
    "By symbols",
    "By numbers",
    "What goes wrong",
    "Exercises",
    "In one paragraph",
    "For the record",
]


def markdown(path):
    return "\n\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")


def code(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def section(path, title):
    """Return the cells from one heading of a chapter to the next."""
    cells = read(path).cells
    starts = [i for i, c in enumerate(cells) if re.match(r"## ", c.source)]
    first = next(i for i in starts if cells[i].source.startswith(f"## {title}"))
    return cells[first : next((i for i in starts if i > first), len(cells))]


def test_there_are_chapters():
    assert CHAPTERS


@pytest.mark.parametrize("path", notebooks.NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_in_the_normal_form(path):
    assert notebooks.faults(path) == [], f"{notebooks.MEND} mends it"


def test_its_picture_can_be_pointed_at(chapter):
    (cell,) = [c for c in section(chapter, "The picture") if c.cell_type == "code"]
    (output,) = cell.outputs
    assert re.search(r"equivlib\.explore(_network)?\(", cell.source)
    assert "<one-matrix-" in output.data["text/html"]
    assert output.data["text/plain"].startswith(("explore: input", "explore_network: "))


def parts(path):
    return re.findall(r"^## (.+)$", markdown(path), flags=re.M)


def test_it_has_the_parts_in_order(chapter):
    assert parts(chapter) == PARTS


def test_the_page_of_the_protocol_has_all_parts_but_exercises():
    assert parts(PROTOCOL) == [part for part in PARTS if part != "Exercises"]


def test_it_is_in_the_table_of_contents(notebook):
    assert f"chapters/{notebook.stem}" in (ROOT / "_toc.yml").read_text(encoding="utf-8")


def test_its_question_links_to_where_somebody_asked_it(chapter):
    text = "".join(cell.source for cell in section(chapter, "The question"))
    assert re.search(r"\]\(https://", text)


def test_its_answer_is_short_and_says_what_to_have_read(chapter):
    text = "".join(cell.source for cell in section(chapter, "The short answer"))
    answer, _, _ = text.partition("To have read:")
    assert 2 <= len(re.findall(r"[.?](?=\s|$)", answer)) <= 4
    assert "To have read:" in text


def test_the_answer_in_ten_minutes_ends_with_five_questions_and_folded_answers():
    end = markdown(TEN_MINUTES).split("## Five questions to check yourself\n")[1]
    questions = re.split(r"^\*\*(\d)\.\*\* ", end, flags=re.M)
    assert questions[1::2] == list("12345")
    for text in questions[2::2]:
        assert "?" in text.split(":::{admonition} Answer\n:class: dropdown\n")[0]
        assert text.count(":::{admonition} Answer\n:class: dropdown\n") == 1


def test_each_section_of_the_answer_in_ten_minutes_leads_to_a_proof_or_a_chapter():
    _, *sections = re.split(r"^## ", markdown(TEN_MINUTES), flags=re.M)
    assert len(sections) >= 8
    for text in sections:
        assert re.search(r"\{(prf:ref|doc)\}`", text), text.splitlines()[0]


@pytest.mark.parametrize("title", ["By symbols", "By numbers", "What goes wrong"])
def test_each_argument_asserts_something(chapter, title):
    statements = [
        node
        for cell in section(chapter, title)
        if cell.cell_type == "code"
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Assert)
    ]
    assert len(statements) >= 2


def test_no_assertion_is_vacuous(notebook):
    """The trap ``assert a.all() == b.all()`` may be shown, but only as what goes wrong."""
    wrong = section(notebook, "What goes wrong") if "What goes wrong" in parts(notebook) else []
    shown = {cell.id for cell in wrong}
    for cell in code(notebook):
        if cell.id not in shown:
            assert not re.search(r"\.all\(\)\s*==", cell.source), cell.source
            assert "assert True" not in cell.source


def test_every_exercise_has_a_solution_whose_code_runs(chapter):
    cells = section(chapter, "Exercises")
    text = "\n".join(cell.source for cell in cells)
    labels = re.findall(r":::\{exercise\}\n:label: (\S+)", text)
    assert len(labels) >= 3
    solved = re.findall(r":::\{solution-start\} (\S+)\n:class: dropdown", text)
    assert solved == labels
    kinds = [
        "code" if cell.cell_type == "code" else word
        for cell in cells
        for word in re.findall(r"solution-start|solution-end", cell.source) or ["text"]
        if cell.cell_type == "code" or word != "text"
    ]
    for label, solution in zip(labels, " ".join(kinds).split("solution-end"), strict=False):
        assert "solution-start" in solution, label
        assert "code" in solution.split("solution-start")[1], f"{label} has no code that runs"


def test_exercises_go_from_by_hand_to_a_proof(chapter):
    text = "\n".join(cell.source for cell in section(chapter, "Exercises"))
    for words in ("By hand", "Change the code", "Prove"):
        assert words in text, words


def test_every_figure_has_a_caption_a_label_and_a_description_made_from_its_data(notebook):
    for cell in code(notebook):
        for output in cell.outputs:
            if "image/png" not in output.get("data", {}):
                continue
            told = cell.metadata["mystnb"]
            assert told["figure"]["caption"]
            assert told["figure"]["name"].startswith("fig-")
            assert told["image"]["alt"] == output.data["text/plain"]


def test_its_outputs_are_the_same_on_every_platform(notebook):
    for cell in code(notebook):
        for output in cell.outputs:
            text = str(output.get("text", "")) + str(
                {k: v for k, v in output.get("data", {}).items() if not k.startswith("image/")}
            )
            assert not re.search(r"0x[0-9a-f]{6,}|np\.(float|int)\d*\(|/home/|/Users/", text), text


def test_its_output_is_compared_unless_it_measures_time(notebook):
    ignored = [c for c in code(notebook) if "nbval-ignore-output" in c.metadata.get("tags", [])]
    for cell in ignored:
        assert "perf_counter" in cell.source or "timeit" in cell.source


def test_its_code_fits_a_narrow_page(notebook):
    for cell in code(notebook):
        assert max(map(len, cell.source.splitlines())) <= 80, cell.source


def test_a_displayed_matrix_fits_a_phone(notebook):
    for cell in code(notebook):
        for output in cell.outputs:
            latex = output.get("data", {}).get("text/latex", "")
            for line in re.findall(r"\\begin\{matrix\}(.*?)\\end\{matrix\}", latex, flags=re.S):
                assert max(row.count("&") for row in line.split("\\\\")) < 9


def test_its_prose_has_no_exclamation_marks(notebook):
    prose = re.sub(
        r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|!\[|<!--.*?-->",
        "",
        markdown(notebook),
        flags=re.S,
    )
    assert "!" not in prose


def test_a_notebook_out_of_the_normal_form_is_named_with_what_mends_it(tmp_path):
    notebook = read(CHAPTERS[0])
    next(c for c in notebook.cells if c.cell_type == "code").execution_count = None
    broken = tmp_path / "broken.ipynb"
    notebooks.write(broken, notebook)
    told = subprocess.run(
        [sys.executable, ROOT / "tools" / "notebooks.py", "--check", broken],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 1
    assert "no execution count" in told.stderr
    assert "make notebooks mends it" in told.stderr
