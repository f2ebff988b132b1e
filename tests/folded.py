"""A book of two pages with every kind of fold, for the tests of folds."""

import subprocess
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

ROOT = Path(__file__).resolve().parents[1]

CONFIG = f"""
import sys
sys.path[:0] = [{str(ROOT / "_extensions")!r}, {str(ROOT / "tools")!r}]
extensions = ["myst_nb", "sphinx_proof", "sphinx_exercise", "folds"]
project, language, numfig = "Folds", "en", True
nb_execution_mode = "off"
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "dollarmath"]
html_theme = "basic"
html_permalinks = False
html_static_path = [{str(ROOT / "_theme" / "one_matrix" / "static")!r}]
html_css_files = ["folds.css", "print.css"]
html_js_files = [("one.js", {{"defer": "defer"}})]
"""

START = """# Start

{ref}`proof <words-of-the-proof>`, [record](chapters/page.ipynb#for-the-record)

```{toctree}
:numbered:
chapters/page
```
"""

#: Before the exercises: a theorem with two proofs, another without, and a box.
THEOREM = """# Page

Two words.

## By symbols

:::{prf:theorem} One
:label: thm-one
What holds.
:::

:::{prf:proof}
The first argument.

(words-of-the-proof)=
Its second step: kingfisher.
:::

:::{prf:proof}
The second argument: nightjar.
:::

:::{admonition} Another way
:class: dropdown
The other way: wagtail.
:::

(cell-thm-one)="""

EXERCISE = """## Exercises

:::{exercise}
:label: ex-one
Do it.
:::

:::{solution-start} ex-one
:class: dropdown
:::

The solution: goldcrest."""

RECORD = """## For the record

What else there is: lapwing.

:::{prf:theorem} Two
:label: thm-two
What else holds.
:::

:::{prf:proof}
:class: dropdown
The proof inside a fold.

(inside-both)=
Its second step: dunnock.
:::

### A part of it

Its text."""


def cell(source, output="", **metadata):
    """Return a cell that was run, with what it printed."""
    outputs = [new_output("stream", name="stdout", text=output)] if output else []
    return new_code_cell(source, outputs=outputs, execution_count=1, metadata=metadata)


LONG = "\n".join(f"x{i} = {i}" for i in range(21))
CELLS = [
    new_markdown_cell(THEOREM),
    cell("assert 1 + 1 == 2\nprint('two')", "two\n"),
    cell("assert 2 + 2 == 4  # stays open", tags=["show"]),
    cell("print('first')\nprint('second')", "first\nsecond\n"),
    cell(LONG + "\nprint('long')", "long\n"),
    cell(LONG + "  # stays open too", tags=["show"]),
    cell("print('tagged')", "a\nb\n", tags=["check"]),
    cell("print('without its input')", "a picture\n", tags=["hide-input"]),
    cell("print('all of it')", "hidden with it\n", tags=["hide-cell"]),
    cell("print('much')", "much output\n", tags=["hide-output"]),
    cell("print('own words')", "c\n", tags=["hide-input"], mystnb={"code_prompt_show": "Drawing"}),
    new_markdown_cell("## What goes wrong"),
    cell("assert [1].count(1)  # the trap"),
    new_markdown_cell(EXERCISE),
    cell("assert 6 * 7 == 42  # in the solution"),
    new_markdown_cell(":::{solution-end}\n:::"),
    new_markdown_cell(RECORD),
]


def build(folder):
    """Build the two pages, with warnings as errors; gives the folder of the HTML."""
    source, html = folder / "source", folder / "html"
    (source / "chapters").mkdir(parents=True)
    (source / "conf.py").write_text(CONFIG, encoding="utf-8")
    (source / "index.md").write_text(START, encoding="utf-8")
    notebook = nbformat.v4.new_notebook(
        cells=CELLS, metadata={"language_info": {"name": "python", "pygments_lexer": "python"}}
    )
    for number, one in enumerate(notebook.cells):
        one.id = f"cell-{number}"
    nbformat.write(notebook, source / "chapters" / "page.ipynb")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", source, html]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return html
