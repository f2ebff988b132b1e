// The layer in numbers: where each output reads, what it computes, what a change does to it.
// Nothing here touches a page, so that all of it can be tested without one.

/**
 * @typedef {object} Layer what decides every index, as in equivlib.Geometry
 * @property {number[]} input (channels, *spatial), one or two spatial axes
 * @property {number[]} weight (out channels, in channels / groups, *kernel)
 * @property {number[]} stride one for each spatial axis, like the next two
 * @property {number[][]} padding (low, high)
 * @property {number[]} dilation
 * @property {number} groups
 * @property {string} mode what the padding shows
 * @property {boolean} flip
 *
 * @typedef {object} Axis one spatial axis of a layer
 * @property {number} size
 * @property {number} taps
 * @property {number} stride
 * @property {number} dilation
 * @property {number} low
 * @property {number} high
 *
 * @typedef {object} Link an output that meets a weight at a place of the padded input
 * @property {number} x the place, counted row-major over (channel, padded spatial axes)
 * @property {number} k the weight, counted row-major
 * @property {number} y the output, which is the row of W
 * @property {number} column of W, or PADDING
 * @property {number} W the entry of W, row-major, or PADDING
 *
 * @typedef {object} Layout all places of a layer and how they belong together
 * @property {Layer} layer
 * @property {Axis[]} axes always two; a single spatial axis is a plane of one line
 * @property {number[]} inputs (channels, height, width)
 * @property {number[]} padded the same with padding
 * @property {number[]} kernel (out, in / groups, height, width)
 * @property {number[]} outputs (channels, height, width)
 * @property {number} rows of W
 * @property {number} columns of W
 * @property {number[]} shows the column of each padded place, or PADDING
 * @property {boolean[]} inside whether a padded place is no padding
 * @property {Link[]} links row by row
 * @property {Map<number, number[]>} entries the weights of each entry of W that is not empty
 *
 * @typedef {"convolution" | "local" | "full"} Tie which entries of W are one number
 *
 * @typedef {object} State what the picture computes with
 * @property {number[]} x
 * @property {number[]} k
 * @property {Tie} tie
 * @property {Float64Array | null} W all entries once they are free
 */

const PADDING = -1;
const MODES = ["zeros", "circular", "reflect", "replicate", "symmetric"];
/** A plane of one line has this as its first axis. */
const LINE = { size: 1, taps: 1, stride: 1, dilation: 1, low: 0, high: 0 };

const product = (numbers) => numbers.reduce((all, n) => all * n, 1);
const range = (n) => Array.from({ length: n }, (_, i) => i);

/**
 * Return the input element that an axis shows at a place before, in or after it, or PADDING.
 *
 * @param {number} place
 * @param {number} size
 * @param {string} mode
 */
function shown(place, size, mode) {
  const within = (period) => ((place % period) + period) % period;
  const mirrored = (period, last) => Math.min(within(period), (last - within(period)) % period);
  if (place >= 0 && place < size) return place;
  if (mode === "circular") return within(size);
  if (mode === "replicate") return place < 0 ? 0 : size - 1;
  if (mode === "symmetric") return mirrored(2 * size, 2 * size - 1);
  if (mode === "reflect") return mirrored(Math.max(2 * (size - 1), 1), Math.max(2 * (size - 1), 1));
  return PADDING;
}

/**
 * Return the place of the padded axis that output `o` reads with tap `a`.
 *
 * @param {Axis} axis
 * @param {number} o
 * @param {number} a
 * @param {boolean} flip
 */
function placeOf(axis, o, a, flip) {
  return axis.stride * o + axis.dilation * (flip ? axis.taps - 1 - a : a);
}

/** @param {Axis} axis */
function extentOf(axis) {
  return axis.dilation * (axis.taps - 1) + 1;
}

/** @param {Axis} axis */
function outputsOf(axis) {
  const room = axis.size + axis.low + axis.high - extentOf(axis);
  return room < 0 ? 0 : Math.floor(room / axis.stride) + 1;
}

/**
 * @param {Layer} layer
 * @returns {Axis[]}
 */
function axesOf(layer) {
  const axes = layer.stride.map((stride, n) => ({
    size: layer.input[n + 1],
    taps: layer.weight[n + 2],
    stride,
    dilation: layer.dilation[n],
    low: layer.padding[n][0],
    high: layer.padding[n][1],
  }));
  return axes.length > 1 ? axes : [LINE, ...axes];
}

/**
 * Return all places of a layer and how they belong together.
 *
 * @param {Layer} layer
 * @returns {Layout}
 */
function layoutOf(layer) {
  const axes = axesOf(layer);
  const [tall, wide] = axes;
  const channels = layer.input[0];
  const inputs = [channels, tall.size, wide.size];
  const outputs = [layer.weight[0], outputsOf(tall), outputsOf(wide)];
  const padded = [channels, ...axes.map(({ size, low, high }) => size + low + high)];
  const shows = [];
  const inside = [];
  for (const [channel, i, j] of places(padded)) {
    const [row, column] = [i - tall.low, j - wide.low];
    const at = [shown(row, tall.size, layer.mode), shown(column, wide.size, layer.mode)];
    const empty = at.includes(PADDING);
    shows.push(empty ? PADDING : (channel * tall.size + at[0]) * wide.size + at[1]);
    inside.push(row >= 0 && row < tall.size && column >= 0 && column < wide.size);
  }
  const layout = {
    layer,
    axes,
    inputs,
    padded,
    kernel: [layer.weight[0], layer.weight[1], tall.taps, wide.taps],
    outputs,
    rows: product(outputs),
    columns: product(inputs),
    shows,
    inside,
    links: [],
    entries: new Map(),
  };
  link(layout);
  return layout;
}

/**
 * Yield every index of an array of three axes, in row-major order.
 *
 * @param {number[]} sizes
 */
function* places([channels, lines, cells]) {
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < lines; i++) for (let j = 0; j < cells; j++) yield [c, i, j];
  }
}

/**
 * Fill in the links of a layout: each output with each weight of its channel.
 *
 * @param {Layout} layout
 */
function link(layout) {
  const { layer, axes, padded, outputs, kernel, shows, links, entries } = layout;
  const [, perGroup, tall, wide] = kernel;
  const shared = outputs[0] / layer.groups; // output channels of a group
  let y = 0;
  for (const [u, i, j] of places(outputs)) {
    const first = Math.floor(u / shared) * perGroup;
    for (const [c, a, b] of places([perGroup, tall, wide])) {
      const [row, column] = [
        placeOf(axes[0], i, a, layer.flip),
        placeOf(axes[1], j, b, layer.flip),
      ];
      const x = ((first + c) * padded[1] + row) * padded[2] + column;
      const k = ((u * perGroup + c) * tall + a) * wide + b;
      const W = shows[x] === PADDING ? PADDING : y * layout.columns + shows[x];
      links.push({ x, k, y, column: shows[x], W });
      if (W === PADDING) continue;
      entries.set(W, [...(entries.get(W) ?? []), k]);
    }
    y += 1;
  }
}

/**
 * Return the links of one row of W.
 *
 * @param {Layout} layout
 * @param {number} row
 */
function linksOfRow(layout, row) {
  const taps = product(layout.kernel.slice(1));
  return layout.links.slice(row * taps, (row + 1) * taps);
}

/**
 * Return why an entry of W is empty: another group, a gap of the dilation, a diagonal that breaks
 * off where its weight meets padding, or out of reach.
 *
 * @param {Layout} layout
 * @param {number} row
 * @param {number} column
 * @returns {{what: string, k?: number}}
 */
function whyEmpty(layout, row, column) {
  const { layer, inputs, outputs } = layout;
  const plane = inputs[1] * inputs[2];
  const u = Math.floor(row / (outputs[1] * outputs[2]));
  const channel = Math.floor(column / plane);
  const group = Math.floor((u * layer.groups) / outputs[0]);
  if (group !== Math.floor((channel * layer.groups) / inputs[0])) return { what: "group" };
  const links = linksOfRow(layout, row).filter((one) => channelOf(layout, one.x) === channel);
  if (isBetween(layout, links, column)) return { what: "gap" };
  const broken = links.find((one) => breaksOff(layout, one, column));
  return broken ? { what: "edge", k: broken.k } : { what: "reach" };
}

/** Return the channel of a padded place. */
function channelOf({ padded }, place) {
  return Math.floor(place / (padded[1] * padded[2]));
}

/** Return the line and the cell of a padded place within its channel. */
function pointOf({ padded }, place) {
  return [Math.floor(place / padded[2]) % padded[1], place % padded[2]];
}

/** Return whether a column is shown between the taps of one row in one channel. */
function isBetween(layout, links, column) {
  const points = links.map((one) => pointOf(layout, one.x));
  const [lines, cells] = [points.map((p) => p[0]), points.map((p) => p[1])];
  const first = channelOf(layout, links[0].x) * layout.padded[1];
  for (let i = Math.min(...lines); i <= Math.max(...lines); i++) {
    for (let j = Math.min(...cells); j <= Math.max(...cells); j++) {
      if (layout.shows[(first + i) * layout.padded[2] + j] === column) return true;
    }
  }
  return false;
}

/** Return whether the diagonal of a weight that meets padding would go on at this column. */
function breaksOff(layout, one, column) {
  if (one.column !== PADDING) return false;
  const { axes, inputs, outputs } = layout;
  const [i, j] = pointOf(layout, one.x);
  const plane = inputs[1] * inputs[2];
  const place = (i - axes[0].low) * inputs[2] + (j - axes[1].low);
  if (place !== column % plane) return false;
  const positions = outputs[1] * outputs[2];
  const taps = product(layout.kernel.slice(1));
  return [-1, 1].some((by) => {
    const position = (one.y % positions) + by;
    if (position < 0 || position >= positions) return false;
    const other = layout.links[(one.y + by) * taps + (one.k % taps)];
    return other.column !== PADDING && other.column % plane === place + by;
  });
}

// Values.

/**
 * Return a state in which the entries of W are those of a convolution.
 *
 * @param {number[]} x
 * @param {number[]} k
 * @returns {State}
 */
function tiedState(x, k) {
  return { x, k, tie: "convolution", W: null };
}

/**
 * Return one entry of W.
 *
 * @param {Layout} layout
 * @param {State} state
 * @param {number} at
 */
function entryOf(layout, state, at) {
  if (state.W) return state.W[at];
  return (layout.entries.get(at) || []).reduce((sum, k) => sum + state.k[k], 0);
}

/**
 * Return all entries of W.
 *
 * @param {Layout} layout
 * @param {State} state
 */
function matrixOf(layout, state) {
  if (state.W) return state.W;
  const W = new Float64Array(layout.rows * layout.columns);
  for (const one of layout.links) if (one.W !== PADDING) W[one.W] += state.k[one.k];
  return W;
}

/**
 * Return y = W x.
 *
 * @param {Layout} layout
 * @param {State} state
 * @param {ArrayLike<number>} x
 */
function outputOf(layout, state, x = state.x) {
  const y = new Array(layout.rows).fill(0);
  if (!state.W) {
    for (const one of layout.links) {
      if (one.W !== PADDING) y[one.y] += state.k[one.k] * x[one.column];
    }
    return y;
  }
  for (let row = 0; row < layout.rows; row++) {
    for (let column = 0, at = row * layout.columns; column < layout.columns; column++, at++) {
      y[row] += state.W[at] * x[column];
    }
  }
  return y;
}

/**
 * Return Wᵀ y.
 *
 * @param {Layout} layout
 * @param {State} state
 * @param {ArrayLike<number>} y
 */
function backOf(layout, state, y) {
  const x = new Array(layout.columns).fill(0);
  if (!state.W) {
    for (const one of layout.links) {
      if (one.W !== PADDING) x[one.column] += state.k[one.k] * y[one.y];
    }
    return x;
  }
  state.W.forEach((value, at) => {
    x[at % layout.columns] += value * y[Math.floor(at / layout.columns)];
  });
  return x;
}

/**
 * Return how many numbers can be chosen freely under each tie.
 *
 * @param {Layout} layout
 */
function freeNumbers(layout) {
  return {
    convolution: product(layout.kernel),
    local: layout.entries.size,
    full: layout.rows * layout.columns,
  };
}

/**
 * Return the kernel whose matrix is nearest to W, and how far from W it is (Frobenius norm).
 *
 * Where no entry is met by two weights this is the mean of W over the places of each weight.
 *
 * @param {Layout} layout
 * @param {Float64Array} W
 */
function nearest(layout, W) {
  const size = product(layout.kernel);
  const gram = range(size).map(() => new Array(size).fill(0));
  const sums = new Array(size).fill(0);
  for (const [at, weights] of layout.entries) {
    for (const one of weights) {
      sums[one] += W[at];
      for (const other of weights) gram[one][other] += 1;
    }
  }
  const alone = gram.every((row, i) => row.every((n, j) => i === j || n === 0));
  const k = alone ? sums.map((sum, i) => (gram[i][i] ? sum / gram[i][i] : 0)) : solve(gram, sums);
  const fitted = matrixOf(layout, tiedState([], k));
  const square = W.reduce((sum, value, at) => sum + (value - fitted[at]) ** 2, 0);
  return { k, residual: Math.sqrt(square) };
}

/**
 * Return the shortest solution of G k = r, for a G that need not be regular, by conjugate gradients.
 *
 * @param {number[][]} gram
 * @param {number[]} sums
 */
function solve(gram, sums) {
  const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
  let k = sums.map(() => 0);
  let rest = [...sums];
  let way = [...rest];
  for (let step = 0; step < 4 * sums.length && dot(rest, rest) > 1e-24 * dot(sums, sums); step++) {
    const along = gram.map((row) => dot(row, way));
    const far = dot(rest, rest) / dot(way, along);
    k = k.map((value, i) => value + far * way[i]);
    const left = rest.map((value, i) => value - far * along[i]);
    const turn = dot(left, left) / dot(rest, rest);
    way = left.map((value, i) => value + turn * way[i]);
    rest = left;
  }
  return k.map((value) => Number(value.toPrecision(12)));
}

/**
 * Return W after one entry is set: with its twins if they are one number, alone if they are free.
 *
 * @param {Layout} layout
 * @param {State} state
 * @param {number} at
 * @param {number} value
 * @returns {State | {refused: string, weights: number[]}}
 */
function withEntry(layout, state, at, value) {
  const weights = layout.entries.get(at) || [];
  if (state.tie === "convolution") {
    if (weights.length !== 1) {
      return { refused: weights.length ? "fixedSum" : "fixedEmpty", weights };
    }
    return { ...state, k: state.k.map((old, k) => (k === weights[0] ? value : old)) };
  }
  if (state.tie === "local" && !weights.length) return { refused: "localEmpty", weights };
  const W = Float64Array.from(matrixOf(layout, state));
  W[at] = value;
  return { ...state, W };
}

// Shifts and gradients.

/**
 * Return the input moved along its last axis; what leaves comes in again if it is circular.
 *
 * @param {Layout} layout
 * @param {number[]} x
 * @param {number} by
 */
function shifted(layout, x, by) {
  const wide = layout.inputs[2];
  const circular = layout.layer.mode === "circular";
  return x.map((_, at) => {
    const from = (at % wide) - by;
    if (from < 0 && !circular) return 0;
    return x[at - (at % wide) + (((from % wide) + wide) % wide)];
  });
}

/**
 * Return for each output its left neighbour, round the border if the layer is circular, or -1.
 *
 * @param {Layout} layout
 */
function leftOf(layout) {
  const [wide, axis] = [layout.outputs[2], layout.axes[1]];
  const round = layout.layer.mode === "circular" && wide * axis.stride === axis.size;
  return range(layout.rows).map((at) => (at % wide ? at - 1 : round ? at + wide - 1 : -1));
}

/**
 * Return for each output whether it is what its neighbour was before, or null where it has none.
 *
 * @param {Layout} layout
 * @param {number[]} before
 * @param {number[]} after
 * @returns {(boolean | null)[]}
 */
function follows(layout, before, after) {
  const large = Math.max(1, ...before.map(Math.abs));
  return leftOf(layout).map((left, at) =>
    left < 0 ? null : Math.abs(after[at] - before[left]) <= 1e-9 * large,
  );
}

/**
 * Return the gradient of half the squared error with respect to each weight: a sum over its places.
 *
 * @param {Layout} layout
 * @param {number[]} x
 * @param {number[]} error
 */
function gradient(layout, x, error) {
  const slopes = new Array(product(layout.kernel)).fill(0);
  for (const one of layout.links) {
    if (one.W !== PADDING) slopes[one.k] += error[one.y] * x[one.column];
  }
  return slopes;
}

/**
 * Return the kernel after the step along the gradient that lowers the error most.
 *
 * @param {Layout} layout
 * @param {State} state
 * @param {number[]} target
 */
function descend(layout, state, target) {
  const error = outputOf(layout, state).map((value, row) => value - target[row]);
  const slopes = gradient(layout, state.x, error);
  const along = outputOf(layout, { ...state, W: null, k: slopes });
  const square = (values) => values.reduce((sum, value) => sum + value * value, 0);
  const rate = square(along) ? square(slopes) / square(along) : 0;
  const k = state.k.map((value, n) => Number((value - rate * slopes[n]).toPrecision(12)));
  return { k, slopes, rate };
}

// The other direction.

/**
 * @typedef {object} Entry an entry of a matrix that is not 0 or has a twin that is not
 * @property {number} at row-major
 * @property {number} value
 * @property {number[]} y the output (channel, *spatial)
 * @property {number[]} x the input
 *
 * @typedef {object} Along what one axis of a layer would be
 * @property {number} stride
 * @property {number} taps
 * @property {number} dilation
 * @property {number[]} padding
 * @property {number} broken how many entries differ from their twins
 * @property {number} at the first of them, and its twin
 * @property {number} twin
 */

/**
 * Return the convolution that has exactly this matrix, as equivlib.recognize finds it, or the first
 * entry that differs from its twin under the strides that come closest.
 *
 * @param {number[]} W row-major
 * @param {number[]} input (channels, *spatial), like the output
 * @param {number[]} output
 * @returns {{layer: Layer, k: number[]} | {layer: Layer, at: number, twin: number} | null}
 */
function recognise(W, input, output) {
  const columns = product(input);
  const entries = W.map((value, at) => ({
    at,
    value,
    y: indexIn(output, Math.floor(at / columns)),
    x: indexIn(input, at % columns),
  }));
  const axes = input.slice(1).map((n, axis) => alongAxis(entries, axis + 1, n, output[axis + 1]));
  if (axes.includes(null)) return null;
  const along = /** @type {Along[]} */ (axes);
  const groups = mostGroups(entries, input[0], output[0]);
  const layer = {
    input,
    weight: [output[0], input[0] / groups, ...along.map(({ taps }) => taps)],
    stride: along.map(({ stride }) => stride),
    padding: along.map(({ padding }) => padding),
    dilation: along.map(({ dilation }) => dilation),
    groups,
    mode: "zeros",
    flip: false,
  };
  const worst = along.find(({ broken }) => broken);
  if (worst) return { layer, at: worst.at, twin: worst.twin };
  const k = new Array(product(layer.weight)).fill(0);
  for (const one of layoutOf(layer).links) if (one.W !== PADDING) k[one.k] = W[one.W];
  return { layer, k };
}

/** Return the index of an element that is counted row-major. */
function indexIn(shape, at) {
  const index = [];
  for (let axis = shape.length - 1, rest = at; axis >= 0; axis--) {
    index.unshift(rest % shape[axis]);
    rest = Math.floor(rest / shape[axis]);
  }
  return index;
}

/** Return the largest number of groups whose blocks hold all entries that are not 0. */
function mostGroups(entries, inputs, outputs) {
  const filled = entries.filter(({ value }) => value !== 0);
  for (let groups = inputs; groups > 1; groups--) {
    if (inputs % groups || outputs % groups) continue;
    const own = ({ x, y }) =>
      Math.floor((y[0] * groups) / outputs) === Math.floor((x[0] * groups) / inputs);
    if (filled.every(own)) return groups;
  }
  return 1;
}

/**
 * Return what the layer is along one axis: the smallest stride under which entries with the same
 * place minus stride times output are one number, or else that with the fewest that differ.
 *
 * @param {Entry[]} entries
 * @param {number} axis
 * @param {number} n inputs along it
 * @param {number} m outputs
 * @returns {Along | null}
 */
function alongAxis(entries, axis, n, m) {
  /** @type {Along | null} */
  let closest = null;
  for (let stride = 1; stride < (m > 1 ? 3 * n : 2); stride++) {
    const offsets = new Set();
    for (const { value, x, y } of entries) if (value !== 0) offsets.add(x[axis] - stride * y[axis]);
    const fit = fitting([...offsets], stride, n, m);
    if (!fit) continue;
    const found = { stride, ...fit, ...differing(entries, axis, stride) };
    if (!closest || found.broken < closest.broken) closest = found;
    if (!found.broken) break;
  }
  return closest;
}

/** Count entries that differ from the first one of their diagonal, and name the first of these. */
function differing(entries, axis, stride) {
  const first = new Map();
  const found = { broken: 0, at: -1, twin: -1 };
  for (const entry of entries) {
    const [y, x] = [[...entry.y], [...entry.x]];
    [y[axis], x[axis]] = [0, x[axis] - stride * y[axis]];
    const key = `${y},${x}`;
    const twin = first.get(key);
    if (!twin) {
      first.set(key, entry);
    } else if (twin.value !== entry.value && found.broken++ === 0) {
      [found.at, found.twin] = [entry.at, twin.at];
    }
  }
  return found;
}

/**
 * Return the widest dilation, and for it the smallest kernel, with taps at these offsets that gives m
 * outputs: over no more than n elements, and with less padding than that.
 *
 * @param {number[]} offsets
 */
function fitting(offsets, stride, n, m) {
  const [low, high] = offsets.length ? [Math.min(...offsets), Math.max(...offsets)] : [0, -n];
  const divide = (a, b) => (b ? divide(b, a % b) : a);
  const step = offsets.reduce((most, offset) => divide(most, offset - low), 0) || 1;
  for (const dilation of range(step).map((i) => step - i)) {
    if (step % dilation) continue;
    for (let taps = 1; dilation * (taps - 1) < n; taps++) {
      const extent = dilation * (taps - 1) + 1;
      for (let before = Math.max(0, -low); before < n; before++) {
        if ((before + low) % dilation || extent - 1 - before < high) continue;
        const after = Math.max(0, (m - 1) * stride + extent - n - before);
        const axis = { size: n, taps, stride, dilation, low: before, high: after };
        if (after < n && outputsOf(axis) === m) return { taps, dilation, padding: [before, after] };
      }
    }
  }
  return null;
}

// What may be asked for.

/**
 * Return what is wrong with the options of a layer, or null.
 *
 * @param {Layer} layer
 * @param {{rows: number, entries: number}} most
 * @returns {{what: string, [name: string]: string | number} | null}
 */
function refusal(layer, most) {
  const whole = (numbers, least) => numbers.every((n) => Number.isInteger(n) && n >= least);
  const positive = [...layer.input, ...layer.weight, ...layer.stride, ...layer.dilation];
  if (!whole([...positive, layer.groups], 1)) return { what: "notPositive" };
  if (!whole(layer.padding.flat(), 0)) return { what: "notPadding" };
  const counts = { inputs: layer.input[0], outputs: layer.weight[0] };
  for (const [side, n] of Object.entries(counts)) {
    if (n % layer.groups) return { what: "groupsDivide", side, n, groups: layer.groups };
  }
  for (const axis of axesOf(layer)) {
    const room = axis.size + axis.low + axis.high;
    if (outputsOf(axis) < 1) return { what: "tooWide", extent: extentOf(axis), room };
  }
  const positions = product(axesOf(layer).map(outputsOf));
  const [rows, columns] = [layer.weight[0] * positions, product(layer.input)];
  const entries = positions * product(layer.weight);
  if (Math.max(rows, columns) > most.rows || entries > most.entries) {
    return { what: "tooLarge", rows, columns, entries, most: most.rows, filled: most.entries };
  }
  return null;
}

/**
 * Return values for an array of another shape: kept where both have an index, else made by `fill`.
 *
 * @param {number[]} values
 * @param {number[]} from
 * @param {number[]} to
 * @param {(at: number) => number} fill
 */
function resized(values, from, to, fill) {
  return range(product(to)).map((at) => {
    let [rest, old, stride, kept] = [at, 0, 1, true];
    for (let axis = to.length - 1; axis >= 0; axis--) {
      const index = rest % to[axis];
      rest = Math.floor(rest / to[axis]);
      kept &&= index < from[axis];
      old += index * stride;
      stride *= from[axis];
    }
    return kept ? values[old] : fill(at);
  });
}

/**
 * Kernels of any size, for each pair of channels: a height, a width, and then each tap.
 *
 * @type {Record<string, (tall: number, wide: number) => (i: number, j: number) => number>}
 */
const KERNELS = {
  edge: (tall, wide) => (i, j) => {
    const [at, last] = wide > 1 ? [j, wide - 1] : [i, tall - 1];
    return (at === last ? 1 : 0) - (at === 0 ? 1 : 0);
  },
  blur: (tall, wide) => () => 1 / (tall * wide),
  sharpen: (tall, wide) => {
    const [middle, centre] = [(tall - 1) >> 1, (wide - 1) >> 1];
    const beside = (n, at) => (at > 0 ? 1 : 0) + (at < n - 1 ? 1 : 0);
    return (i, j) => {
      const far = Math.abs(i - middle) + Math.abs(j - centre);
      return far ? (far === 1 ? -1 : 0) : 1 + beside(tall, middle) + beside(wide, centre);
    };
  },
  shift: () => (i, j) => (i === 0 && j === 0 ? 1 : 0),
};

/** A handwritten seven, one text for each line. */
const DIGIT = [
  "00000000",
  "01111110",
  "01111110",
  "00000110",
  "00001100",
  "00011000",
  "00110000",
  "00110000",
];

/** @type {Record<string, (tall: number, wide: number) => (i: number, j: number) => number>} */
const INPUTS = {
  digit: (tall, wide) => (i, j) =>
    9 * Number(DIGIT[Math.floor((i * 8) / tall)][Math.floor((j * 8) / wide)]),
  gradient: () => (i, j) => i + j,
  impulse: (tall, wide) => (i, j) => (i === (tall - 1) >> 1 && j === (wide - 1) >> 1 ? 1 : 0),
};

/**
 * Return the values of a preset for an array whose last two axes are a plane.
 *
 * @param {(tall: number, wide: number) => (i: number, j: number) => number} preset
 * @param {number[]} shape
 */
function presetValues(preset, shape) {
  const [tall, wide] = shape.slice(-2);
  const value = preset(tall, wide);
  return range(product(shape)).map((at) => value(Math.floor(at / wide) % tall, at % wide));
}

// Names and numbers, as the library writes them (equivlib.labels).

/**
 * @param {string} name
 * @param {number[]} shape
 */
function labelsOf(name, shape) {
  const comma = shape.some((n) => n > 10) ? "," : "";
  return range(product(shape)).map((at) => {
    const told = [];
    for (let axis = shape.length - 1, rest = at; axis >= 0; axis--) {
      if (shape[axis] > 1) told.unshift(rest % shape[axis]);
      rest = Math.floor(rest / shape[axis]);
    }
    return name + told.join(comma);
  });
}

/** Return a number with so many digits; half of the last one goes to the even one, as in Python. */
function fixed(value, digits) {
  const further = 30;
  const rest = Math.abs(value)
    .toFixed(digits + further)
    .slice(-further);
  if (!/^50*$/.test(rest)) return value.toFixed(digits);
  const down = Math.floor(Math.abs(value) * 10 ** digits);
  return ((Math.sign(value) * (down + (down % 2))) / 10 ** digits).toFixed(digits);
}

/**
 * Return a number as the picture shows it: whole numbers in full, others with three digits.
 *
 * @param {number} value
 */
function written(value) {
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e15) return String(value + 0);
  if (size >= 999.5 && size < 1e6) return fixed(value, 0);
  const [digits, power] = value.toExponential(2).split("e");
  const trimmed = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
  const p = Number(power);
  if (p >= -4 && p < 3) return trimmed(fixed(value, 2 - p));
  return `${trimmed(digits)}e${p < 0 ? "-" : "+"}${String(Math.abs(p)).padStart(2, "0")}`;
}

/** A number with all its digits, but without those that rounding has added. */
function shortest(value) {
  return String(Number(value.toPrecision(12)));
}

/**
 * Return the number that somebody typed, or null: a decimal number or a fraction of two.
 *
 * @param {string} text
 */
function parsed(text) {
  const plain = text.trim().replace(/[−–]/g, "-").replace(",", ".");
  const form = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(?:\/(\d+))?$/i.exec(plain);
  if (!form) return null;
  const value = Number(form[1]) / Number(form[2] ?? 1);
  return Number.isFinite(value) && Math.abs(value) < 1e15 ? value + 0 : null;
}

/**
 * Return the sizes that somebody typed, channels first, or null.
 *
 * @param {string} text
 */
function parsedShape(text) {
  const sizes = text
    .split(/[^\d.-]+/)
    .filter(Boolean)
    .map(Number);
  const right = sizes.length > 1 && sizes.length < 4;
  return right && sizes.every((n) => Number.isInteger(n) && n > 0) ? sizes : null;
}

/**
 * Return a matrix that somebody typed, a row in each line, or null.
 *
 * @param {string} text
 */
function parsedMatrix(text) {
  const lines = text.split(/[\n;]/).filter((line) => /[^\s[\],]/.test(line));
  const rows = lines.map((line) =>
    line
      .split(/[\s,[\]]+/)
      .filter(Boolean)
      .map(parsed),
  );
  const right = rows.length && rows.every((row) => row.length === rows[0].length);
  return right && rows.flat().every((value) => value !== null) ? rows : null;
}
