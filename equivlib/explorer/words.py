"""What the linked picture of one layer says; the script puts names and numbers into the braces."""

WORDS = {
    "wide": "each row is one sum",
    "tall": "each column is one sum",
    "input": "input x",
    "result": "result Wᵀy",
    "output": "output y",
    "given": "given y",
    "row": "Output {y} = {v}: row {r} of W, {n} on the patch that it reads.{pad}",
    "met": " The padding, which has no column in W, meets {n}.",
    "spread": "{y} = {v} goes to {n}: row {r} of W is a column of Wᵀ.",
    "column": "Input {x} = {v}: column {c} of W, read by {ys}.",
    "collect": "Result {v} at {x}: column {c} of W is a row of Wᵀ, and collects from {ys}.",
    "copy": "Padding that shows {x} again. ",
    "zero": "Padding: a zero that has no column in W, read by {ys}.",
    "nobody": "no output",
    "weight": "Weight {k} = {v} stands at {n} of W: {places}.{pad}",
    "missed": " {n} it meets the padding instead.",
    "tap": "W = {k}·E + …, where E is 1 at {n} and 0 elsewhere",
    "entry": "Row {r}, column {c}: {k}, the weight of {x} in {y}; it stands at {n}.",
    "sum": "Row {r}, column {c}: {k}, because the padding shows {x} to these weights of {y}.",
    "empty": "Row {r}, column {c}: empty, because ",
    "group": "{x} is in another group than {y}.",
    "gap": "{x} lies between two taps of {y}: the dilation leaves it out.",
    "edge": "the diagonal of {k} breaks off: for {y} that weight meets the padding.",
    "reach": "{x} is out of reach of {y}.",
}

NETWORK_WORDS = {
    "none": "perceptron: nothing to do, the list of numbers is the same",
    "same": "{unit} = {v} of layer {p} ({name}) is {where} in the perceptron.",
    "source": "{unit} = {v} of the input is {where} in the perceptron.",
    "step": "Unit {i} of stage {s} is a step on the way of layer {p} ({name}), or carries a value "
    "past it: no layer of the network has its output here.",
    "folded": "{unit} = {v} of layer {p} ({name}) is not computed by itself: the layer after it "
    "is folded into the same matrix.",
    "kernel": "A weight {v} of this {name} stands at {n} of the matrix beside it.",
}
