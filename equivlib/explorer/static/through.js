// A network in numbers: what its units become for another input, and how one is followed through.

/**
 * @typedef {object} Unit a layer of a network, as equivlib.explorer.typed.UnitFacts
 * @property {string[]} values
 * @property {string} [sign] what is done to each sum
 * @property {string} [slope]
 * @property {(string | number)[][][]} [reads] for each unit: layer, unit, factor, weight
 * @property {string[]} [bias]
 *
 * @typedef {object} Stage of the perceptron
 * @property {string} kind
 * @property {(string | number)[][][]} [reads] for each unit: unit before it, factor
 * @property {string[]} [bias]
 */

/** @type {Record<string, (sum: number, slope: number) => number>} */
const SIGNS = {
  relu: (sum) => Math.max(0, sum),
  relu6: (sum) => Math.min(6, Math.max(0, sum)),
  leaky: (sum, slope) => (sum < 0 ? slope * sum : sum),
};

/** @param {string | number | undefined} text */
function numberOf(text) {
  return text === undefined ? 0 : (parsed(String(text)) ?? NaN);
}

/**
 * Return the numbers of all layers, and of all stages of the perceptron, for an input.
 *
 * @param {Unit[]} layers the input is the first
 * @param {Stage[]} stages
 * @param {number[]} x
 */
function through(layers, stages, x) {
  const found = [x];
  for (const layer of layers.slice(1)) {
    const sign = SIGNS[layer.sign ?? ""] ?? ((sum) => sum);
    const units = (layer.reads ?? []).map((reads, u) => {
      const terms = reads.map(
        ([from, j, factor]) => numberOf(factor) * found[Number(from) + 1][Number(j)],
      );
      if (layer.sign === "max") return Math.max(...terms);
      const sum = terms.reduce((a, b) => a + b, numberOf(layer.bias?.[u]));
      return sign(sum, numberOf(layer.slope));
    });
    found.push(units);
  }
  const made = [];
  let before = x;
  for (const { reads, bias } of stages) {
    const last = before;
    before = reads
      ? reads.map((row, u) =>
          row.reduce((sum, [j, f]) => sum + numberOf(f) * last[Number(j)], numberOf(bias?.[u])),
        )
      : last.map((value) => Math.max(0, value));
    made.push(before);
  }
  return { layers: found, stages: made };
}

/**
 * Return a way through the network by way of one unit: from an input to an output, each of them read
 * by the next.
 *
 * @param {Unit[]} layers
 * @param {number} p
 * @param {number} u
 */
function wayThrough(layers, p, u) {
  const way = [[p, u]];
  for (let [at, unit] = [p, u]; at >= 0; [at, unit] = way[0]) {
    const reads = layers[at + 1].reads?.[unit];
    if (!reads?.length) break;
    way.unshift([Number(reads[0][0]), Number(reads[0][1])]);
  }
  for (let next = p + 1; next < layers.length - 1; next++) {
    const [at, unit] = way[way.length - 1];
    const reads = layers[next + 1].reads ?? [];
    const found = reads.findIndex((row) => row.some(([from, j]) => from === at && j === unit));
    if (found >= 0) way.push([next, found]);
  }
  return way;
}

/**
 * Return the rounds of a tournament: in each, neighbours meet, and of two the larger goes on.
 *
 * @param {number[]} values
 */
function roundsOf(values) {
  const rounds = [values];
  while (rounds[rounds.length - 1].length > 1) {
    const last = rounds[rounds.length - 1];
    const pairs = range(Math.ceil(last.length / 2));
    rounds.push(pairs.map((n) => Math.max(last[2 * n], last[2 * n + 1] ?? -Infinity)));
  }
  return rounds;
}
