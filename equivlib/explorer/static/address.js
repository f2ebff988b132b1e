// A state of a picture in the address of the page, so that it can be linked to.

/** The name in an address: picture=1 is the first picture of the page. */
const WHICH = "picture";

/** Return which picture of the page this is, counted from 1. */
function placeOnPage(picture) {
  const tags = ["layer", "network"].map((kind) => `one-matrix-${kind}-${VERSION}`);
  return [...document.querySelectorAll(tags.join())].indexOf(picture) + 1;
}

/**
 * Return the state that an address asks of a picture; nobody has checked it.
 *
 * @param {number} position
 * @param {string} query
 */
function stateInAddress(position, query = location.search) {
  const found = new URLSearchParams(query);
  if (Number(found.get(WHICH)) !== position) return {};
  const asked = {};
  for (const [name, text] of found) if (name in READERS) asked[name] = READERS[name](text);
  return asked;
}

const numbersIn = (text) => text.split(",").map(parsed);
const READERS = {
  setting: String,
  at: String,
  tie: String,
  guide: Number,
  columns: (text) => text === "1",
  numbers: (text) => text === "1",
  layer: (text) => layerFrom(text),
  x: numbersIn,
  k: numbersIn,
  y: numbersIn,
  W: numbersIn,
};

/** Write a layer into an address: sizes, stride, padding, dilation, groups, mode, flip. */
function layerText(layer) {
  const { input, weight, stride, padding, dilation, groups, mode, flip } = layer;
  const lists = [input, weight, stride, padding.flat(), dilation].map((list) => list.join("."));
  return [...lists, groups, mode, Number(flip)].join("_");
}

/** @returns {Layer | null} */
function layerFrom(text) {
  const parts = text.split("_");
  if (parts.length !== 8 || !MODES.includes(parts[6])) return null;
  const [input, weight, stride, pads, dilation] = parts
    .slice(0, 5)
    .map((part) => part.split(".").map(Number));
  const ndim = stride.length;
  const right = [input.length - 1, weight.length - 2, pads.length / 2, dilation.length];
  if (ndim < 1 || ndim > 2 || right.some((n) => n !== ndim)) return null;
  const padding = stride.map((_, n) => [pads[2 * n], pads[2 * n + 1]]);
  if (weight[1] * Number(parts[5]) !== input[0]) return null;
  const [groups, mode, flip] = [Number(parts[5]), parts[6], parts[7] === "1"];
  return { input, weight, stride, padding, dilation, groups, mode, flip };
}

/**
 * Return the query of an address that leads back to the state of a picture.
 *
 * @param {number} position
 * @param {Record<string, any>} state
 */
function queryOf(position, state) {
  const query = new URLSearchParams({ [WHICH]: String(position) });
  for (const [name, value] of Object.entries(state)) {
    if (value === null || value === undefined || value === false || value === "") continue;
    const text = name === "layer" ? layerText(value) : value === true ? "1" : String(value);
    query.set(name, text);
  }
  return `?${query}`;
}
