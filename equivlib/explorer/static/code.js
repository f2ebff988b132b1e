// The lines of Python that make the matrix of a layer that was changed in the picture.

/** @param {number[]} values @param {number[]} shape */
function nested(values, shape) {
  if (shape.length === 1) return `[${values.map(shortest).join(", ")}]`;
  const size = product(shape.slice(1));
  const parts = range(shape[0]).map((n) =>
    nested(values.slice(n * size, (n + 1) * size), shape.slice(1)),
  );
  return `[${parts.join(", ")}]`;
}

/**
 * Return lines that can be run: they make the shown matrix and apply it.
 *
 * @param {Layer} layer
 * @param {State} state
 */
function codeOf(layer, state) {
  const tuple = (numbers) => `(${numbers.join(", ")}${numbers.length === 1 ? "," : ""})`;
  const options = [
    `stride=${tuple(layer.stride)}`,
    `padding=${tuple(layer.padding.map(tuple))}`,
    `dilation=${tuple(layer.dilation)}`,
    `groups=${layer.groups}`,
    `padding_mode="${layer.mode}"`,
    `flip=${layer.flip ? "True" : "False"}`,
  ];
  const matrix = state.W
    ? [
        `W = np.array(${nested([...state.W], [state.W.length / product(layer.input), product(layer.input)])})`,
      ]
    : [
        `weight = np.array(${nested(state.k, layer.weight)})`,
        `W = conv_matrix(weight, x.shape, ${options.join(", ")})`,
      ];
  return [
    "# the matrix, with equivlib",
    "import numpy as np",
    ...(state.W ? [] : ["from equivlib import conv_matrix"]),
    "",
    `x = np.array(${nested(state.x, layer.input)})`,
    ...matrix,
    "y = W @ x.ravel()",
    "back = W.T @ y  # read by columns",
  ].join("\n");
}
