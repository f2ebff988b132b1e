// The model of the linked picture, by itself: plain cases whose answer anybody can see.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import vm from "node:vm";

const folder = new URL("../../equivlib/explorer/static/", import.meta.url);
const context = vm.createContext({ URLSearchParams, structuredClone, location: { search: "" } });
const parts = ["model.js", "words.js", "code.js", "through.js"];
for (const name of parts) vm.runInContext(readFileSync(new URL(name, folder), "utf8"), context);
/** Names that scripts declare, functions and constants alike. */
const model = (name) => vm.runInContext(name, context);
const plain = (value) => JSON.parse(JSON.stringify(value));

const LINE = {
  input: [1, 5],
  weight: [1, 1, 3],
  stride: [1],
  padding: [[0, 0]],
  dilation: [1],
  groups: 1,
  mode: "zeros",
  flip: false,
};
const state = (k, x = [3, 1, 4, 1, 5]) => ({ x, k, tie: "convolution", W: null });

test("each padding mode shows the elements of a b c that it is named for", () => {
  const around = (mode) =>
    [-4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6]
      .map((place) => model("shown")(place, 3, mode))
      .map((at) => (at < 0 ? "." : "abc"[at]))
      .join("");
  assert.equal(around("zeros"), "....abc....");
  assert.equal(around("circular"), "cabcabcabca");
  assert.equal(around("replicate"), "aaaaabccccc");
  assert.equal(around("reflect"), "abcbabcbabc");
  assert.equal(around("symmetric"), "ccbaabccbaa");
});

test("a single element is its own mirror image", () => {
  for (const mode of ["circular", "replicate", "reflect", "symmetric"])
    for (const place of [-3, -1, 1, 2]) assert.equal(model("shown")(place, 1, mode), 0);
});

test("three taps over five inputs make three rows of W", () => {
  const layout = model("layoutOf")(LINE);
  const W = plain([...model("matrixOf")(layout, state([1, -2, 1]))]);
  assert.deepEqual(W, [1, -2, 1, 0, 0, 0, 1, -2, 1, 0, 0, 0, 1, -2, 1]);
  assert.deepEqual(plain(model("outputOf")(layout, state([1, -2, 1]))), [5, -6, 7]);
  assert.deepEqual(plain(model("freeNumbers")(layout)), { convolution: 3, local: 9, full: 15 });
});

test("one entry of a convolution is all of its twins; a freed one is alone", () => {
  const layout = model("layoutOf")(LINE);
  const tied = model("withEntry")(layout, state([1, -2, 1]), 1, 5);
  assert.deepEqual(plain(tied.k), [1, 5, 1]);
  const freed = model("withEntry")(layout, { ...state([1, -2, 1]), tie: "local" }, 1, 5);
  assert.deepEqual(plain([...freed.W]), [1, 5, 1, 0, 0, 0, 1, -2, 1, 0, 0, 0, 1, -2, 1]);
  const refused = (tie, at) =>
    model("withEntry")(layout, { ...state([1, -2, 1]), tie }, at, 5).refused;
  assert.equal(refused("convolution", 4), "fixedEmpty");
  assert.equal(refused("local", 4), "localEmpty");
  assert.equal(refused("full", 4), undefined);
});

test("the nearest kernel is the mean over the places of each weight", () => {
  const layout = model("layoutOf")(LINE);
  const W = Float64Array.from([1, 4, 1, 0, 0, 0, 1, -2, 1, 0, 0, 0, 1, -2, 1]);
  const { k, residual } = model("nearest")(layout, W);
  assert.deepEqual(plain(k), [1, 0, 1]);
  assert.equal(residual, Math.sqrt(4 ** 2 + 2 ** 2 + 2 ** 2));
});

test("an input shifts with zeros, and round if the padding is circular", () => {
  const layout = model("layoutOf")(LINE);
  assert.deepEqual(plain(model("shifted")(layout, [3, 1, 4, 1, 5], 1)), [0, 3, 1, 4, 1]);
  const round = model("layoutOf")({ ...LINE, mode: "circular" });
  assert.deepEqual(plain(model("shifted")(round, [3, 1, 4, 1, 5], 2)), [1, 5, 3, 1, 4]);
});

test("a matrix is recognised, or the entry and its twin are named", () => {
  const found = model("recognise")([2, -1, 0, 0, 2, -1], [1, 3], [1, 2]);
  assert.deepEqual(plain(found.k), [2, -1]);
  const broken = model("recognise")([2, -1, 0, 0, 3, -1], [1, 3], [1, 2]);
  assert.deepEqual([broken.at, broken.twin], [4, 0]);
});

test("a matrix between images is recognised along both axes, and with its groups", () => {
  // 1 2 over 3 4 on images of 3 × 3: rows of four entries, in lines of the image.
  const rows = [
    [1, 2, 0, 3, 4, 0, 0, 0, 0],
    [0, 1, 2, 0, 3, 4, 0, 0, 0],
    [0, 0, 0, 1, 2, 0, 3, 4, 0],
    [0, 0, 0, 0, 1, 2, 0, 3, 4],
  ];
  const found = model("recognise")(rows.flat(), [1, 3, 3], [1, 2, 2]);
  assert.deepEqual(plain(found.k), [1, 2, 3, 4]);
  rows[3][8] = 5;
  const broken = model("recognise")(rows.flat(), [1, 3, 3], [1, 2, 2]);
  assert.equal(broken.at, 35);
  const own = model("recognise")([7, 0, 0, 0, 0, 7, 0, 0, 0, 0, 8, 0, 0, 0, 0, 8], [2, 2], [2, 2]);
  assert.deepEqual([own.layer.groups, plain(own.k)], [2, [7, 8]]);
});

test("sizes are whole numbers, channels first", () => {
  assert.deepEqual(plain(model("parsedShape")("1 × 3 × 4")), [1, 3, 4]);
  assert.deepEqual(plain(model("parsedShape")("(2, 5)")), [2, 5]);
  for (const text of ["3", "1 × 0", "1 × -2", "1 × 2.5", "1 2 3 4", "a × b"])
    assert.equal(model("parsedShape")(text), null, text);
});

test("numbers keep their index when sizes change", () => {
  const kept = model("resized")([1, 2, 3, 4], [2, 2], [3, 3], () => 0);
  assert.deepEqual(plain(kept), [1, 2, 0, 3, 4, 0, 0, 0, 0]);
});

test("a brace without a value is an error and not a word", () => {
  assert.throws(() => model("filled")("{a} is {b}", { a: 1 }), /nothing for {b}/);
});

test("a tournament halves its candidates, and one alone waits", () => {
  assert.deepEqual(plain(model("roundsOf")([3, 9, 4])), [[3, 9, 4], [9, 4], [9]]);
});
