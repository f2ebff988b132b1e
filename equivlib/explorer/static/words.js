// All that the pictures say. Names and numbers come into the braces.

const WORDS = {
  hint: "Point at or tap any number, click to change it.",
  touch: "Tap any number; tap it again to change it.",
  keys: "Click pins, Esc releases; arrow keys move, Enter or a digit changes a number.",

  wide: "each row is one sum",
  tall: "each column is one sum",
  input: "input x",
  result: "result Wᵀy",
  output: "output y",
  given: "given y",
  aimed: "output y, target t",
  kernel: "kernel",
  reversed: "kernel, reversed",
  nearestKernel: "nearest kernel",

  row: "Output {y} = {v}: row {r} of W, {n} on the patch that it reads.{pad}",
  met: " The padding, which has no column in W, meets {n}.",
  freeRow: "Output {y} = {v}: row {r} of W, {n}, each with a number of its own.",
  spread: "{y} = {v} goes to {n}: row {r} of W is a column of Wᵀ.",
  column: "Input {x} = {v}: column {c} of W, read by {ys}.",
  collect: "Result {v} at {x}: column {c} of W is a row of Wᵀ, and collects from {ys}.",
  copy: "Padding that shows {x} again. ",
  zero: "Padding: a zero that has no column in W, read by {ys}.",
  nobody: "no output",
  weight: "Weight {k} = {v} stands at {n} of W: {places}.{pad}",
  missed: " {n} it meets the padding instead.",
  mean: "{k} = {v} of the nearest kernel is in no sum: it is the mean of W at {n}, {values}.",
  fitted:
    "{k} = {v} of the nearest kernel is in no sum: of all kernels, that one has the matrix with the " +
    "least sum of squared differences from W.",
  entry: "Row {r}, column {c}: {k}, the weight of {x} in {y}; it stands at {n}.",
  sum: "Row {r}, column {c}: {k}, because the padding shows {x} to these weights of {y}.",
  alone: "Row {r}, column {c}: {v}, the weight of {x} in {y}; it stands here alone.",
  empty: "Row {r}, column {c}: empty, because ",
  group: "{x} is in another group than {y}.",
  gap: "{x} lies between two taps of {y}: the dilation leaves it out.",
  edge: "the diagonal of {k} breaks off: for {y} that weight meets the padding.",
  reach: "{x} is out of reach of {y}: its weight is 0.",

  changed: "{name} is now {v}: {ys}. ",
  changes: "{y} = {v}",
  unchanged: "no output changes",
  twins: "{name} is now {v}, and so is {n}: they are one weight. ",
  noNumber: "“{text}” is not a number. {name} stays {v}.",
  exact:
    "These numbers are fractions, complex numbers or symbols. Python has computed with them exactly, " +
    "which a browser cannot: so they can be pointed at here, and not changed.",
  pointOnly: "Point at or tap any number.",
  notEditable: "On this page the numbers can be pointed at, and not changed.",
  noEdit: "{name} is a result: it follows from the inputs and the weights.",
  fixedSum: "{name} is the sum {k}: change these weights in the kernel.",
  fixedEmpty:
    "{name} is empty, and a convolution has no weight there. Fully connected, it is free.",
  localEmpty: "{name} is empty: locally connected, only the places of the convolution are free.",
  freeKernel: "W is free and has no kernel; this is the nearest one. Press Convolution to take it.",
  padded: "The padding is no input: change {x} itself.",
  paddedZero: "The padding is no input: it stays 0.",

  convolution: "Convolution",
  local: "Locally connected",
  full: "Fully connected",
  isConvolution: "W is a convolution: {n}, and its kernel gives the whole map.",
  isFree:
    "{n} can be chosen freely; so far they are those of the convolution, and the kernel nearest to W " +
    "is its own.",
  isBroken:
    "No kernel of this size gives this map any more. The nearest one{mean} is {residual} away: the root " +
    "of the sum of squared differences.",
  meanOver: " takes the mean over each weight's places, {k} = {v} for {values}, and",
  retied: "W is tied again, a convolution; its freed numbers are gone. ",
  dropped: "{n} outside the convolution's places went: locally connected, W is empty there.",
  taken:
    "The nearest convolution: each weight is the mean over its places. Press {tie} to go back.",
  followsAll: "Shifted by {by}: {pairs}. Of {all} compared, all shifted along.{rest}",
  followsSome: "Shifted by {by}: {pairs}. Of {all} compared, {n} shifted along.{rest} {why}",
  isAs: "{y} is {v} as {z} was",
  isNotAs: "{y} is {v} but {z} was {w}",
  noLeft: " Without a left neighbour: {ys}.",
  wasLeft: " Before the shift {z} was {w}.",
  followsNone:
    "Shifted by {by}: along this axis there is one output, and none to which it could shift.",
  border: "The others are at the border, where something has come in or has been lost.",
  own: "The rows of W are no longer all alike, so what an output gives depends on where it stands.",

  notPositive: "Sizes, strides, dilations, channels and groups are whole numbers from 1 on.",
  notPadding: "Padding is a whole number from 0 on.",
  groupsDivide: "{groups} groups cannot share {n} {side}: the groups have to divide them evenly.",
  tooWide: "The kernel reaches over {extent} elements, and the input has {room} with its padding.",
  tooLarge:
    "W would be {rows} × {columns} with {entries} entries; at most {most} × {most} with {filled} " +
    "can be pointed at.",
  options: "Now the input is {x}, the kernel {k}, the output {y}, and W is {rows} × {columns}.",
  preset: "Now {name}: {ys}.",
  resetDone: "The picture is as it was at first.",

  recognised:
    "It is a convolution: kernel [{k}], stride {stride}, padding {padding}, dilation {dilation}, " +
    "groups {groups}.",
  notOne:
    "It is not a convolution: with stride {stride}, {a} = {v} and {b} = {w} would have to be one weight.",
  notAny: "No kernel that is no larger than the input takes {x} to {y} with such zeros.",
  notSizes:
    "This matrix takes {n} inputs to {m} outputs: give sizes of which these are the products, " +
    "channels first and as many axes for both, for example 1 × {n} and 1 × {m}.",
  notMatrix:
    "A matrix is rows of numbers, all of one length: for example “1 2 0” and below it “0 1 2”.",

  slope: "{k} = {v} has the slope {g}: the sum of (y − t)·x over its {n}.",
  step: "One step: each weight went against its slope, and half the squared error fell from {a} to {b}.",
  noStep: "The slope is 0: no step lowers the error.",
  target: "The target of {y} is now {v}. ",
  stepTied: "The step is taken with the shared weights: press Convolution first.",

  guide1: "Each output is one row of W: the weights on its patch, summed.",
  guide2: "Each weight stands on a diagonal, at every position: weight sharing.",
  guide3: "All else is empty, because an output sees only its patch: locality.",
  guide4: "Shift the input: away from the border, the outputs shift along.",
  guide5: "Free one entry: its twins stay, and no kernel gives this map.",
  guide6: "Shift the input again: now the outputs do not all shift along.",
  guideLeft: "Step {n} of {steps}, changed by you: ◀ undoes it, ▶ goes on without it.",
  guideLeftLast: "Step {n} of {steps}, changed by you: ◀ undoes it.",

  linkCopied: "A link to this state is in the address bar and can be copied.",
};

const NETWORK_WORDS = {
  hint: "Point at or tap any number; click an input to change it.",
  changed: "{name} is now {v}: {ys}. ",
  noNumber: "“{text}” is not a number. {name} stays {v}.",
  fixed:
    "Numbers of this network are rounded as they are shown, so its input cannot be changed here.",
  follows: "{name} is a result: it follows from the input.",
  none: "perceptron: nothing to do, the list of numbers is the same",
  same: "{unit} = {v} of layer {p} ({name}) is {where} in the perceptron.",
  source: "{unit} = {v} of the input is {where} in the perceptron.",
  step:
    "Unit {i} of stage {s} is a step on the way of layer {p} ({name}), or carries a value " +
    "past it: no layer of the network has its output here.",
  folded:
    "{unit} = {v} of layer {p} ({name}) is not computed by itself: the layer after it " +
    "is folded into the same matrix.",
  kernel: "A weight {v} of this {name} stands at {n} of the matrix beside it.",
  linkCopied: WORDS.linkCopied,
};

/**
 * Return a sentence with its braces filled.
 *
 * @param {string} sentence
 * @param {Record<string, string | number>} values
 */
function filled(sentence, values = {}) {
  return sentence.replace(/{(\w+)}/g, (_, name) => {
    if (!(name in values)) throw new Error(`nothing for {${name}} in “${sentence}”`);
    return String(values[name]);
  });
}

/** @param {number} n @param {string} word */
function counted(n, word) {
  return `${n} ${word}${n === 1 ? "" : "s"}`;
}

/**
 * Return the first names, and how many more there are.
 *
 * @param {string[]} names
 * @param {number} most
 */
function listed(names, most = 4) {
  const more = names.length - most;
  return names.slice(0, most).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

/** @param {string[]} names */
function different(names) {
  return [...new Set(names)];
}

/**
 * Return a number as a factor: in brackets if it has a sign or is a sum.
 *
 * @param {string} value
 */
function signed(value) {
  return /^-|.[-+\s]/.test(value) ? `(${value})` : value;
}
