// The picture of one layer: input, kernel, output and W, joined number by number.

const PANELS = ["x", "k", "y", "W"];
const PALE = "#DDDDDD"; // of an entry that stands at no weight's place

/**
 * @typedef {object} Setting one setting of the page, as equivlib.explorer.typed.SettingTold
 * @property {string} title
 * @property {Layer} layer
 * @property {{values?: number[], texts?: string[]}} weight
 * @property {string} code
 * @property {Results} [results]
 *
 * @typedef {object} Results what a script cannot compute
 * @property {string[]} y
 * @property {string[]} back
 * @property {Record<number, string>} sums
 * @property {boolean} rounded
 *
 * @typedef {Results & {x: string[], k: string[]}} Exact
 * @typedef {Record<"x" | "k" | "y", string[]>} Labels
 */

class LayerView extends Changing {
  /** @type {Layer} */
  layer;
  /** @type {Layout} */
  layout;
  /** @type {State} */
  state = tiedState([], []);
  /** @type {Labels} */
  labels;
  /** @type {Record<string, string[]>} */
  texts;
  /** @type {Record<string, number[]>} how light small cells are */
  levels;
  /** @type {Record<string, Panel>} */
  panels;
  /** @type {(panel: string, key: number) => string} names of what is drawn now */
  drawn;
  /** @type {Controls} */
  controls;
  /** @type {Exact | null} all numbers, where a script cannot compute with them */
  exact = null;
  /** @type {number[]} */
  y = [];
  /** @type {number[]} */
  back = [];
  /** @type {number[] | null} what W is applied to by columns, if it is not y */
  given = null;
  /** @type {{k: number[], residual: number} | null} the convolution nearest to a freed matrix */
  near = null;
  /** @type {{W: Float64Array, tie: Tie, changed: Set<number>} | null} what was freed */
  freed = null;
  /** @type {number[] | null} of the outputs */
  target = null;
  /** @type {(boolean | null)[] | null} which outputs shift along */
  following = null;
  /** @type {string[] | null} the outputs before the shift */
  previous = null;
  rounded = false;
  byColumns = false;
  numbers = false;

  get words() {
    return WORDS;
  }

  /** Compute every number that is shown, and its text. */
  retell() {
    const { layout, state, exact } = this;
    this.y = outputOf(layout, state);
    const given = this.given?.length === this.y.length ? this.given : this.y;
    this.back = backOf(layout, state, given);
    this.near = state.W ? nearest(layout, state.W) : null;
    const k = this.near?.k ?? state.k;
    const texts = (values) => Array.from(values, written);
    const computed = { x: texts(state.x), k: texts(k), y: texts(this.y), back: texts(this.back) };
    this.texts = exact ? { ...computed, ...exact } : computed;
    this.texts.given = exact ? exact.y : texts(given);
    const values = { x: state.x, k, y: this.y, back: this.back };
    this.rounded = exact
      ? exact.rounded
      : Object.keys(values).some((name) =>
          computed[name].some((text, n) => Number(text) !== values[name][n]),
        );
    this.levels = { x: levelsOf(state.x), y: levelsOf(this.y) };
  }

  /** Name everything; names change with the layer alone. */
  relabel() {
    const { layer, layout } = this;
    const output = [layer.weight[0], ...layout.outputs.slice(3 - layer.stride.length)];
    this.labels = {
      x: labelsOf("x", layer.input),
      k: labelsOf(this.data.names, layer.weight),
      y: labelsOf("y", output),
    };
  }

  /** Draw everything anew: after a change of sizes, of the setting, of what W shows. */
  draw() {
    const [kind, at] = this.chosen || [];
    const name = kind && this.drawn ? this.drawn(kind, at) : null;
    this.editor.close();
    this.relabel();
    this.retell();
    this.panels = {};
    for (const panel of PANELS) this.panels[panel] = this.panel(panel);
    const { x, k, y, W } = this.panels;
    const side = html("div", { class: "side" }, k.node, y.node);
    this.board.replaceChildren(x.node, side, W.node);
    const names = { labels: this.labels, layout: this.layout };
    this.drawn = (panel, key) => nameOf(names, panel, key);
    this.controls.update();
    this.fit();
    this.rechoose(kind, name);
  }

  /** What was chosen stays chosen, if it still has its name; else the first result is. */
  rechoose(kind, name) {
    if (kind && name !== null) {
      const count = this.panels[kind].count;
      for (let key = 0; key < count; key++) {
        if (this.drawn(kind, key) === name) return this.select(kind, key);
      }
    }
    this.pin(false);
    return this.select(this.result(), this.byColumns ? this.walk()[0] : startOf(this.layout));
  }

  /** Draw what a change of numbers has changed. */
  redraw() {
    this.retell();
    if (PANELS.some((panel) => this.roomFor(panel) > this.panels[panel].w)) {
      const open = this.editor.close();
      this.draw();
      return this.editor.reopen(open);
    }
    for (const panel of PANELS) this.panels[panel].update();
    this.controls.update();
    return this.select(...this.chosen);
  }

  /** The width that the cells of a panel need for their texts. */
  roomFor(kind) {
    const { layout, labels } = this;
    if (kind === "W") {
      if (Math.max(layout.rows, layout.columns) > this.data.labelled) return 1;
      const names = [...labels.k, ...labels.x];
      return Math.max(TOUCH, 6 + LETTER * longest(this.showsNumbers() ? this.entryTexts() : names));
    }
    const [lines, cells] = this.shapeOf(kind).slice(-2);
    if (Math.max(lines, lines > 1 ? cells : cells / 3) > MANY) return DOT;
    const { shown: values } = this.shownTexts(kind);
    const names = kind === "y" ? labels.y.map((_, row) => this.nameWithSign(row)) : labels[kind];
    return Math.max(CELL, 6 + LETTER * longest([...names, ...values]));
  }

  shownTexts(kind) {
    const { texts } = this;
    if (kind === "k") return { shown: texts.k };
    if (kind === "x") return { shown: this.byColumns ? texts.back : texts.x };
    const values = this.byColumns ? texts.given : texts.y;
    const { target } = this;
    return { shown: target ? values.map((v, row) => `${v}→${written(target[row])}`) : values };
  }

  shapeOf(kind) {
    const { layout } = this;
    const shapes = { x: layout.padded, k: layout.kernel, y: layout.outputs };
    return shapes[kind] ?? [1, layout.rows, layout.columns];
  }

  panel(kind) {
    const { layout } = this;
    const w = this.roomFor(kind);
    const double = [...layout.entries.values()].some((weights) => weights.length > 1);
    const tall = double && !this.showsNumbers() ? CELL : TOUCH;
    const h = kind === "W" && w > 1 ? tall : Math.min(CELL, w);
    const { input, weight } = this.layer;
    const output = layout.outputs.slice(3 - input.length);
    output[0] = weight[0];
    const sizes = { x: input, k: weight, y: output };
    return new Panel(this, kind, {
      title: this.titleOf(kind),
      sizes: sizes[kind] ?? [layout.rows, layout.columns],
      shape: this.shapeOf(kind),
      w,
      h,
    });
  }

  titleOf(kind) {
    const columns = this.byColumns;
    if (kind === "x") return this.words[columns ? "result" : "input"];
    if (kind === "y") return this.words[columns ? "given" : this.target ? "aimed" : "output"];
    if (kind === "W") return `matrix W: ${this.words[columns ? "tall" : "wide"]}`;
    if (this.state.W) return this.words.nearestKernel;
    return this.words[this.layer.flip ? "reversed" : "kernel"];
  }

  /** Names along W, and after how many rows and columns a line or a channel ends. */
  around() {
    /** @param {number[]} shape */
    const blocks = ([, lines, cells]) => [cells, lines * cells];
    return {
      rowNames: this.labels.y,
      columnNames: this.labels.x,
      rowBlocks: blocks(this.layout.outputs),
      columnBlocks: blocks(this.layout.inputs),
    };
  }

  /**
   * Everything in one row if it fits, or W below the rest; none much taller than a phone is wide.
   */
  fit() {
    if (!this.panels) return;
    const { x, k, y, W } = this.panels;
    const room = this.board.clientWidth;
    const wide = x.need + k.need + y.need + 40;
    // On a phone sizes, which W tells as well, may leave their room to the numbers.
    const bare = x.bare + k.bare + y.bare + 12;
    const tight = wide > room && bare <= room;
    const upper = tight ? bare : wide;
    const all = upper + W.need + 20;
    const one = all <= room;
    const most = room < 500 ? 1 : 1.6;
    const scale = (node, need, tall) =>
      node.style.setProperty("--s", Math.max(1, Math.min(most, room / need, tall)));
    const high = Math.max(k.height, y.height);
    // Lines of several channels stand above kernel and output, which are higher.
    const line = tight ? "tight" : upper > room && x.height < high ? "line" : "";
    this.board.className = `board ${one ? "one" : line}`;
    scale(this.board, one ? all : upper, 230 / Math.max(x.height, high));
    scale(W.box, one ? all : W.need, 370 / W.height);
  }

  showsNumbers() {
    return this.numbers || Boolean(this.state.W);
  }

  entryText(at) {
    const weights = this.layout.entries.get(at) || [];
    if (this.exact) return this.exact.sums[at] ?? this.exact.k[weights[0]] ?? "";
    return written(entryOf(this.layout, this.state, at));
  }

  entryTexts() {
    return this.filledEntries().map((at) => this.entryText(at));
  }

  /** The entries of W that hold a number. */
  filledEntries() {
    if (this.state.tie === "full") return range(this.layout.rows * this.layout.columns);
    return [...this.layout.entries.keys()];
  }

  // What a cell shows.

  cell(kind, key) {
    if (kind === "W") return this.entryCell(key);
    if (kind === "x") return this.inputCell(key);
    const { labels } = this;
    if (kind === "k") {
      return {
        lines: [labels.k[key], this.texts.k[key]],
        fill: this.colour(key),
        ...this.cycle(key),
      };
    }
    const lines = [this.nameWithSign(key), this.shownTexts("y").shown[key]];
    return { lines, level: this.levels.y[key], follows: this.following?.[key] };
  }

  /** The name of an output, and whether it has shifted along: a frame would hide under the chosen one. */
  nameWithSign(row) {
    const moved = this.following?.[row] ?? null;
    return this.labels.y[row] + (moved === null ? "" : moved ? "✓" : "✗");
  }

  /** The colours begin again after nine weights: the second time a cell has a stroke, and so on. */
  cycle(weight) {
    const hues = this.hues();
    const rounds = Math.ceil(hues / COLOURS.length);
    return {
      strokes: Math.floor(weight / hues) * rounds + Math.floor((weight % hues) / COLOURS.length),
    };
  }

  entryCell(at) {
    const { labels, state } = this;
    const weights = this.layout.entries.get(at);
    if (!weights && state.tie !== "full") return null;
    const fill = weights ? this.colour(weights[0]) : PALE;
    if (this.showsNumbers()) {
      return {
        lines: [this.entryText(at)],
        fill,
        broken: this.isBroken(at),
        ...this.cycle(weights?.[0] ?? 0),
      };
    }
    const [first, second] = weights ?? [0];
    const names = (weights ?? []).map((weight, n) => (n ? "+" : "") + labels.k[weight]);
    if (names.length > 2) names.splice(1, names.length, "+…");
    const half = second !== undefined && this.colour(second);
    return { lines: names, fill, half, ...this.cycle(first) };
  }

  /** Whether a freed entry is no more what the other places of its weight are. */
  isBroken(at) {
    return Boolean(this.freed?.changed.has(at)) && Boolean(this.state.W);
  }

  inputCell(place) {
    const { layout, texts, labels, levels } = this;
    const column = layout.shows[place];
    const level = levels.x[column];
    // By columns, what falls on the padding is dropped: it is no result.
    if (!layout.inside[place]) {
      const value = this.byColumns ? "" : (texts.x[column] ?? "0");
      return { lines: ["", value], kind: "outside", level };
    }
    return { lines: [labels.x[column], this.shownTexts("x").shown[column]], level };
  }

  paintEntries(paint) {
    for (const at of this.filledEntries()) {
      const weight = this.layout.entries.get(at)?.[0];
      paint(at, pixel(this.isBroken(at) ? "#FFFFFF" : this.colour(weight ?? -1)));
    }
  }

  hues() {
    const many = product(this.layout.kernel);
    return many <= COLOURS.length ? many : product(this.layout.kernel.slice(2));
  }

  colour(weight) {
    return weight < 0 ? PALE : COLOURS[(weight % this.hues()) % COLOURS.length];
  }

  result() {
    return this.byColumns ? "x" : "y";
  }

  walk() {
    if (!this.byColumns) return range(this.layout.rows);
    return range(this.layout.shows.length).filter((place) => this.layout.inside[place]);
  }

  // The selection: what lights up, the equation, the sentence.

  /** Return what belongs to a cell; freed entries belong to their row and column alone. */
  linksOf(kind, at) {
    const { layout } = this;
    if (!this.state.W || kind === "k") {
      const column = kind === "x" ? layout.shows[at] : PADDING;
      return layout.links.filter((one) =>
        column === PADDING ? one[kind] === at : one.column === column,
      );
    }
    const { columns } = layout;
    const column = kind === "x" ? layout.shows[at] : at % columns;
    const belongs = {
      x: (entry) => entry % columns === column,
      y: (entry) => Math.floor(entry / columns) === at,
      W: (entry) => entry === at,
    };
    return this.filledEntries()
      .filter(belongs[kind])
      .map((W) => ({
        x: this.placeOf(W % columns),
        k: layout.entries.get(W)?.[0] ?? -1,
        y: Math.floor(W / columns),
        column: W % columns,
        W,
      }));
  }

  /** The place of the padded input at which an input stands. */
  placeOf(column) {
    const { inputs, padded, axes } = this.layout;
    const [, lines, cells] = inputs;
    const channel = Math.floor(column / (lines * cells));
    const i = (Math.floor(column / cells) % lines) + axes[0].low;
    return (channel * padded[1] + i) * padded[2] + (column % cells) + axes[1].low;
  }

  select(kind, at) {
    this.chosen = [kind, at];
    const { layout } = this;
    const links = this.linksOf(kind, at);
    const own = kind === "W" ? layout.entries.get(at) || [] : [];
    const twins =
      own.length === 1 && !this.state.W
        ? layout.links.filter((one) => one.k === own[0] && one.W >= 0 && one.W !== at)
        : [];
    this.light(kind, at, links, twins);
    this.panels[kind].cursor = this.panels[kind].spotOf(at);
    this.equation.replaceChildren();
    setText(this.status, this[`tell${kind}`](at, links, twins));
  }

  light(kind, at, links, twins) {
    const { shows, columns } = this.layout;
    const column = kind === "x" ? shows[at] : kind === "W" ? at % columns : PADDING;
    const on = { x: new Map(), k: new Map(), y: new Map(), W: new Map() };
    // Once W is free, no sum holds a weight of the kernel.
    const used = PANELS.filter((panel) => panel !== "k" || kind === "k" || !this.state.W);
    for (const one of links) {
      for (const panel of used) if (one[panel] >= 0) on[panel].set(one[panel], one.k);
    }
    for (const one of twins) on.W.set(one.W, one.k);
    const marked = { x: new Set(), k: new Set(), y: new Set(), W: new Set() };
    marked[kind].add(at);
    if (column >= 0) shows.forEach((shown, place) => shown === column && marked.x.add(place));
    if (kind === "W") marked.y.add(Math.floor(at / columns));
    for (const panel of PANELS) {
      const tinted = panel !== kind && (panel === "x" || panel === "y");
      this.panels[panel].mark(on[panel], marked[panel], tinted);
    }
    this.show(kind, at, column, on.W);
  }

  /** Frame the row, the column or the entry of W, and scroll to it. */
  show(kind, at, column, on) {
    const { W } = this.panels;
    const { columns } = this.layout;
    const [row, across] = [Math.floor(at / columns), at % columns];
    if (kind === "W") W.frame(row, across, true);
    else if (kind === "y") W.frame(at, null, true);
    else W.frame(null, column, kind === "x" && column >= 0);
    const seen = [...on.keys()];
    if (kind === "W" || !seen.length) return;
    const least = (all) => all.reduce((a, b) => Math.min(a, b));
    W.reveal(Math.floor(least(seen) / columns), least(seen.map((entry) => entry % columns)));
  }

  // What is said.

  /** A sum, in names and in numbers: terms of (weight, name, value, factor, its value). */
  sum(name, terms, total) {
    const is = this.rounded ? " ≈ " : " = ";
    this.line(`${name} = `, terms, (_, other, value, factor) => `${factor}·${other || "0"}`, "");
    const numbers = (_, other, value, factor, number) => `${signed(number)}·${signed(value)}`;
    this.line(is, terms, numbers, is + total);
  }

  /** A term of a sum: the weight or the entry of W at a link, times another number. */
  term(one, other, value) {
    if (!this.state.W) return [one.k, other, value, this.labels.k[one.k], this.texts.k[one.k]];
    const name = `W[${one.y},${one.column}]`;
    return [one.k, other, value, name, this.entryText(one.W)];
  }

  telly(row, links) {
    const { labels, texts } = this;
    const met = links.filter((one) => one.column < 0).length;
    const n = links.length - met;
    if (this.byColumns) {
      const told = { y: labels.y[row], v: texts.given[row], r: row };
      return this.say("spread", { ...told, n: counted(n, "place") });
    }
    const told = { y: labels.y[row], v: texts.y[row], r: row };
    const terms = links.map((one) =>
      this.term(one, labels.x[one.column], texts.x[one.column] ?? "0"),
    );
    this.sum(told.y, terms, told.v);
    const was = this.tellBefore(row);
    if (this.state.W) {
      return this.say("freeRow", { ...told, n: counted(n, "entry").replace("ys", "ies") }) + was;
    }
    const pad = met ? this.say("met", { n: counted(met, "weight") }) : "";
    return this.say("row", { ...told, n: counted(n, "weight"), pad }) + was;
  }

  /** After a shift, what the left neighbour of an output was. */
  tellBefore(row) {
    const left = leftOf(this.layout)[row];
    if (!this.following || !this.previous || left < 0) return "";
    return this.say("wasLeft", { z: this.labels.y[left], w: this.previous[left] });
  }

  tellx(place, links) {
    const { labels, texts, layout } = this;
    const c = layout.shows[place];
    const label = labels.x[c];
    const ys = links.length
      ? listed(different(links.map((one) => labels.y[one.y])))
      : this.words.nobody;
    if (c < 0) return this.say("zero", { ys });
    const copy = layout.inside[place] ? "" : this.say("copy", { x: label });
    if (!this.byColumns) {
      const terms = links.map((one) => this.term(one, labels.y[one.y], texts.y[one.y]));
      this.line(`${label} → `, terms, (_, y, v, factor) => `${factor}·${label} in ${y}`, "", ", ");
      return copy + this.say("column", { x: label, c, ys, v: texts.x[c] });
    }
    const terms = links.map((one) => this.term(one, labels.y[one.y], texts.given[one.y]));
    this.sum(`(Wᵀy) at ${label}`, terms, texts.back[c]);
    return copy + this.say("collect", { x: label, c, ys, v: texts.back[c] });
  }

  tellk(weight, links) {
    const { labels, texts } = this;
    const places = links.filter((one) => one.column >= 0);
    const missed = links.length - places.length;
    const n = counted(places.length, "place");
    const told = { k: labels.k[weight], v: texts.k[weight], n };
    if (this.target) return this.tellSlope(weight, places, told);
    if (this.state.W) {
      const values = this.averaged(weight);
      return this.say(values ? "mean" : "fitted", { ...told, values });
    }
    return this.say("weight", {
      ...told,
      places: listed(places.map((one) => `${labels.x[one.column]} in ${labels.y[one.y]}`)),
      pad: missed ? this.say("missed", { n: counted(missed, "time") }) : "",
    });
  }

  /** The numbers of W over which a weight of the nearest kernel is the mean, if it is a mean. */
  averaged(weight) {
    const own = [...this.layout.entries].filter(([, weights]) => weights.includes(weight));
    if (own.some(([, weights]) => weights.length > 1)) return "";
    return listed(own.map(([at]) => this.entryText(at)));
  }

  /** The gradient of a weight: the sum over its places. */
  tellSlope(weight, places, told) {
    const { labels, state, y } = this;
    const target = this.target ?? y;
    const error = y.map((value, row) => value - target[row]);
    const terms = places.map((one) => [
      weight,
      labels.x[one.column],
      written(state.x[one.column]),
      `(${labels.y[one.y]} − t)`,
      written(error[one.y]),
    ]);
    const slope = written(gradient(this.layout, state.x, error)[weight]);
    this.sum(`∂L/∂${labels.k[weight]}`, terms, slope);
    return this.say("slope", { ...told, g: slope });
  }

  tellW(at, links, twins) {
    const { labels, layout } = this;
    const [r, c] = [Math.floor(at / layout.columns), at % layout.columns];
    const weights = layout.entries.get(at) || [];
    const told = { r, c, x: labels.x[c], y: labels.y[r] };
    // In an image, the row is written out as well: it is too small to read.
    if (this.panels.W.image) this.telly(r, this.linksOf("y", r));
    const value = this.entryText(at);
    if (this.state.W && links.length) {
      this.equation.append(`W[${r}, ${c}] = ${value}`);
      return this.say("alone", { ...told, v: value });
    }
    if (!weights.length) return this.say("empty", told) + this.reason(r, c, told);
    const k = weights.map((weight) => labels.k[weight]).join(" + ");
    this.equation.append(`W[${r}, ${c}] = ${k} = ${value}`);
    const other = counted(twins.length, "other place");
    return this.say(weights.length > 1 ? "sum" : "entry", { ...told, k, n: other });
  }

  reason(row, column, told) {
    const { what, k } = whyEmpty(this.layout, row, column);
    return this.say(what, { ...told, k: k === undefined ? "" : this.labels.k[k] });
  }
}

/** The name of a cell that is the same in another setting. */
function nameOf({ labels, layout }, kind, at) {
  if (kind === "W") {
    const row = Math.floor(at / layout.columns);
    return labels.y[row] + labels.x[at % layout.columns];
  }
  if (kind !== "x") return labels[kind][at];
  return `${labels.x[layout.shows[at]]}${layout.inside[at]}`;
}

/** The output to begin with: the middle one of those that read the most inputs. */
function startOf(layout) {
  const read = range(layout.rows).map(
    (row) => new Set(linksOfRow(layout, row).map((one) => one.column)).size,
  );
  const without = range(layout.rows).map((row) =>
    linksOfRow(layout, row).some((one) => one.column === PADDING) ? 1 : 0,
  );
  const counts = read.map((n, row) => n - without[row]);
  const most = counts.reduce((a, b) => Math.max(a, b));
  const rows = range(layout.rows).filter((row) => counts[row] === most);
  return rows[Math.floor(rows.length / 2)];
}

/** How light each cell of a small image is: 0 for the least number, 9 for the greatest. */
function levelsOf(values) {
  const low = values.reduce((a, b) => Math.min(a, b), Infinity);
  const high = values.reduce((a, b) => Math.max(a, b), -Infinity);
  return values.map((value) => (high > low ? Math.round(((value - low) / (high - low)) * 9) : 5));
}

/** A colour as a pixel of an image: alpha, blue, green, red. */
function pixel(colour) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}
