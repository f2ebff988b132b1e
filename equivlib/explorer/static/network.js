// A network beside its perceptron: a unit of one is a unit, or a sum of units, of the other.

const GROUND = "#DDDDDD"; // of a number that no weight of a kernel gives
const STRIP = 330; // px of a row of units, before it goes on in the next line
const MOST_MEET = 9; // numbers whose tournament is drawn
const SIDES = ["n", "m", "k"]; // units of the network, of the perceptron, weights of kernels

class NetworkPicture extends Changing {
  /** @type {any[]} the input and the layers, as equivlib.explorer.typed.UnitFacts */
  layers = [];
  /** @type {any[]} of the perceptron, as StageFacts */
  stages = [];
  /** @type {Record<number, [number, [string, number][]]>} where a layer is in the perceptron */
  forms = {};
  rounded = false;
  start = "";
  /** Whether it may walk by itself: not where the page has said where to begin. */
  walks = true;
  /** @type {number[]} */
  x = [];
  /** @type {number[]} what reset comes back to */
  opened = [];
  /** @type {string[]} of a number that is followed through */
  way = [];
  /** @type {Record<string, Map<string, any>>} */
  nodes = {};
  /** @type {{s: number, p: number, row: number, column: number, weight: number, node: any}[]} */
  entries = [];
  /** @type {{node: any, size: number}[]} */
  bands = [];
  /** Pixels that the two sides need at least. */
  needs = [0, 0];

  get words() {
    return NETWORK_WORDS;
  }

  build() {
    Object.assign(this, structuredClone(this.data)); // what equivlib.explorer.typed says
    this.editor = new Editor(this);
    this.x = this.layers[0].values.map(numberOf);
    this.editable = !this.rounded && this.agrees();
    this.reset = button("Reset", "Reset: the first input", () => this.take(this.opened));
    this.opened = this.x;
    if (this.editable) this.bar.insertBefore(this.reset, this.more);
    this.more.append(this.link());
    this.draw();
    this.touched = !this.walks;
    this.select("n", this.start);
    this.restore(stateInAddress(placeOnPage(this)));
  }

  /**
   * Take the input and the unit that an address asks for, as far as there are such.
   *
   * @param {{x?: any, at?: any}} asked
   */
  restore({ x, at }) {
    const right = x?.length === this.x.length && x.every(Number.isFinite);
    if (this.editable && right) this.take(x);
    this.layers.forEach(({ labels }, i) => {
      const unit = labels.indexOf(at);
      if (unit < 0) return;
      this.touched = true;
      this.select("n", `${i - 1},${unit}`);
    });
  }

  asked() {
    const [kind, at] = this.chosen;
    const x = this.x.some((value, u) => value !== this.opened[u]) ? this.x.map(shortest) : null;
    return { x, at: kind === "n" ? this.nameOf(kind, at) : "" };
  }

  draw() {
    this.nodes = { n: new Map(), m: new Map(), k: new Map() };
    this.entries = [];
    this.bands = [];
    this.needs = [0, 0];
    this.board.replaceChildren(...this.layers.map((layer, i) => this.row(layer, i - 1)));
  }

  // Another input.

  /** Whether the script computes what the library has computed: only then inputs can be changed. */
  agrees() {
    const { layers, stages } = through(this.layers, this.stages, this.x);
    const same = (shown, values) => shown.values.every((text, u) => numberOf(text) === values[u]);
    return (
      this.layers.every((layer, i) => same(layer, layers[i])) &&
      this.stages.every((stage, s) => same(stage, stages[s]))
    );
  }

  /** Take another input: every number of the network and of the perceptron follows. */
  take(x) {
    this.x = x;
    const open = this.editor.close();
    const { layers, stages } = through(this.layers, this.stages, x);
    const room = this.longestText();
    this.layers.forEach((layer, i) => Object.assign(layer, { values: layers[i].map(written) }));
    this.stages.forEach((stage, s) => Object.assign(stage, { values: stages[s].map(written) }));
    if (this.longestText() > room) this.draw();
    else this.rewrite();
    this.fit();
    this.select(...this.chosen);
    this.editor.reopen(open);
  }

  longestText() {
    return longest([...this.layers, ...this.stages].flatMap(({ values }) => values));
  }

  /** Put the numbers into the cells that are drawn. */
  rewrite() {
    const write = (side, p, values) =>
      values.forEach((value, u) => setText(this.nodes[side].get(`${p},${u}`).lastChild, value));
    this.layers.forEach(({ values }, i) => write("n", i - 1, values));
    write("m", -1, this.layers[0].values);
    this.stages.forEach(({ values }, s) => write("m", s, values));
  }

  refusal(kind, at) {
    const [p, u] = at.split(",").map(Number);
    if (kind === "n" && p < 0) return this.editable ? "" : this.words.fixed;
    return this.say("follows", { name: kind === "n" ? this.layers[p + 1].labels[u] : "This" });
  }

  isResult(kind, at) {
    return kind !== "n" || !at.startsWith("-");
  }

  nameOf(kind, at) {
    const [p, u] = at.split(",").map(Number);
    return this.layers[p + 1].labels[u];
  }

  valueOf(kind, at) {
    return this.x[Number(at.split(",")[1])];
  }

  change(kind, at, value) {
    const unit = Number(at.split(",")[1]);
    this.take(this.x.map((old, u) => (u === unit ? value : old)));
    const { labels, values } = this.layers[this.layers.length - 1];
    const ys = listed(labels.map((label, u) => `${label} = ${values[u]}`));
    this.announce(this.say("changed", { name: this.nameOf(kind, at), v: written(value), ys }));
  }

  areaOf(kind, at) {
    const node = this.nodes[kind].get(at);
    const sheet = node.ownerSVGElement;
    const read = (name) => Number(node.firstChild.getAttribute(name));
    const [x, y, w, h] = ["x", "y", "width", "height"].map(read);
    return {
      sheet,
      box: sheet.closest(".box"),
      width: sheet.viewBox.baseVal.width - 4,
      x,
      y,
      w,
      h,
    };
  }

  fit() {
    const room = this.board.clientWidth;
    const [left, right] = this.needs;
    const scale = Math.max(1, Math.min(1.5, (room - 20) / (left + right)));
    this.board.style.setProperty("--s", scale);
    this.board.style.setProperty("--left", left + right + 20 > room ? 0 : `${left * scale}px`);
  }

  /** A number is followed through the network: from an input to an output, by way of one unit. */
  result() {
    return "n";
  }

  walk() {
    const chosen = this.chosen?.[0] === "n" ? this.chosen[1] : this.start;
    if (!this.way?.includes(chosen)) {
      const [p, u] = chosen.split(",").map(Number);
      this.way = wayThrough(this.layers, p, u).map(String);
    }
    return this.way;
  }

  /** A layer on the left; on the right the stages of the perceptron that do the same. */
  row(layer, p) {
    const pair = [this.layerPanels(layer, p), this.stagePanels(layer, p)].map((panels, side) => {
      const needs = panels.map((node) => node.need || 0);
      const need = side ? Math.max(...needs) : needs.reduce((sum, one) => sum + one + 10);
      this.needs[side] = Math.max(this.needs[side], need);
      const style = `flex-basis:calc(var(--s)*${Math.max(...needs)}px)`;
      return html("div", { style }, ...panels);
    });
    return html("div", { class: "pair" }, ...pair);
  }

  layerPanels(layer, p) {
    const { values, labels, shape, kernel } = layer;
    const title = p < 0 ? "input" : `layer ${p}: ${layer.name}`;
    const write = (u) => [labels[u], values[u]];
    const panels = [this.grid("n", p, { title, shape, count: values.length, write })];
    if (kernel) {
      panels.push(
        this.grid("k", p, {
          title: "kernel",
          shape: kernel.shape,
          count: kernel.values.length,
          write: (w) => ["", kernel.values[w]],
          fill: (w) => this.colour(w, kernel),
        }),
      );
    }
    return panels;
  }

  stagePanels(layer, p) {
    const strip = (s, title, values) =>
      this.grid("m", s, {
        title,
        shape: [1, 1, values.length],
        count: values.length,
        write: (u) => ["", values[u]],
      });
    const panels = p < 0 ? [strip(-1, "perceptron: input", layer.values)] : [];
    this.stages.forEach((stage, s) => {
      if (stage.owner !== p) return;
      const sizes = stage.reads ? ` ${stage.values.length} × ${stage.wide}` : "";
      const panel = strip(s, `stage ${s}: ${stage.kind}${sizes}`, stage.values);
      if (stage.reads) panel.firstChild.after(this.matrix(stage, s));
      panels.push(panel);
    });
    return panels.length ? panels : [html("div", { class: "title" }, this.words.none)];
  }

  colour(weight, kernel) {
    if (weight < 0) return GROUND;
    return COLOURS[(kernel ? weight % kernel.hues : weight) % COLOURS.length];
  }

  /**
   * The units of a layer or a stage, or the weights of a kernel.
   *
   * @param {string} kind
   * @param {number} p
   * @param {{title: string, shape: number[], count: number, write: (u: number) => string[],
   *   fill?: (u: number) => string}} told
   */
  grid(kind, p, { title, shape, count, write, fill }) {
    const texts = range(count).map(write);
    const h = kind === "n" ? CELL : 22;
    const w = Math.max(28, 6 + LETTER * longest(texts.flat()));
    const place = placing(shape, count, w, h);
    const { width, height } = place;
    const sheet = svg("svg", {
      viewBox: `-2 -2 ${width + 4} ${height + 4}`,
      "aria-hidden": true,
      style: `width:calc(var(--s)*${width + 4}px)`,
    });
    texts.forEach(([label, value], u) => {
      const [x, y] = place.of(u);
      const face = svg("rect", { x, y, width: w, height: h });
      if (fill) face.style.fill = fill(u);
      const name = svg("text", { x: x + w / 2, y: y + 12 }, label);
      const number = svg("text", { x: x + w / 2, y: y + h - (label ? 4 : 6) }, value);
      const at = `${p},${u}`;
      const node = svg("g", { class: "cell", "data-at": at }, face, name, number);
      this.nodes[kind].set(at, sheet.appendChild(node));
    });
    const panel = html("div", { class: `panel ${kind}` }, html("div", { class: "title" }, title));
    panel.append(this.box(kind, p, title, sheet, count, place.cells));
    panel.need = Math.max(width + 4, 6.6 * title.length);
    return panel;
  }

  box(kind, p, title, sheet, count, cells) {
    const told = { class: "box", tabindex: 0, role: "application", "aria-label": title };
    const around = html("div", { class: "sheet" }, sheet);
    const box = html("div", { ...told, "data-panel": kind + p }, around);
    let cursor = 0;
    const found = (event) => event.target.closest("[data-at]")?.dataset.at || this.chosen[1];
    return this.listen(box, kind, found, (i, j) => {
      const [own, at] = this.chosen;
      const [layer, unit] = at.split(",").map(Number);
      if (own === kind && layer === p) cursor = unit;
      cursor = Math.min(count - 1, Math.max(0, cursor + i * cells + j));
      return `${p},${cursor}`;
    });
  }

  /** The matrix of a stage, a square for each number; it points at the unit of its row. */
  matrix(stage, s) {
    const rows = stage.values.length;
    const size = Math.max(4, Math.min(18, Math.floor(STRIP / stage.wide)));
    const [width, height] = [stage.wide * size, rows * size];
    const sheet = svg(
      "svg",
      {
        viewBox: `-1 -1 ${width + 2} ${height + 2}`,
        "aria-hidden": true,
        style: `width:calc(var(--s)*${width + 2}px)`,
      },
      svg("rect", { width, height, class: "ground" }),
    );
    stage.reads.forEach((read, row) =>
      read.forEach(([column], n) => {
        const square = { x: column * size, y: row * size, width: size, height: size };
        const node = sheet.appendChild(svg("rect", { ...square, class: "entry" }));
        const weight = this.weightOf(stage, row, n);
        node.style.fill = this.colour(weight, this.layers[stage.owner + 1].kernel);
        this.entries.push({ s, p: stage.owner, row, column, weight, node });
      }),
    );
    const band = svg("rect", { class: "band", width, height: size });
    this.bands[s] = { node: sheet.appendChild(band), size };
    const found = (event) => {
      const { top, height: tall } = sheet.getBoundingClientRect();
      const row = Math.floor(((event.clientY - top) / tall) * rows);
      return `${s},${Math.min(rows - 1, Math.max(0, row))}`;
    };
    sheet.onpointermove = (event) => {
      if (event.pointerType !== "touch") this.point("m", found(event));
    };
    sheet.onclick = (event) => this.fix("m", found(event));
    return sheet;
  }

  /** The weight of the kernel that a stage's number is, or -1. */
  weightOf(stage, row, n) {
    const made = this.layers[stage.owner + 1].reads?.[row];
    return made?.length === stage.reads[row].length ? made[n][3] : -1;
  }

  /** The unit of the network that one of the perceptron is, if there is one. */
  equal(s, i) {
    const forms = Object.entries(this.forms).sort(([a], [b]) => Number(a) - Number(b));
    for (const [p, [stage, terms]] of forms) {
      const [factor, start] = terms[0];
      const u = i - start;
      const alone = stage === s && terms.length === 1 && factor === "1";
      if (alone && u >= 0 && u < this.layers[Number(p) + 1].values.length) return [Number(p), u];
    }
    return null;
  }

  // The selection.

  select(kind, at) {
    this.chosen = [kind, at];
    const where = at.split(",").map(Number);
    const on = { n: new Map(), m: new Map(), k: new Map() };
    const marked = { n: new Set(), m: new Set(), k: new Set() };
    const unit = kind === "m" ? this.equal(...where) : kind === "n" ? where : null;
    let units = kind === "m" ? [where] : [];
    this.equation.replaceChildren();
    if (kind === "k") marked.k.add(at);
    if (unit) {
      if (kind === "n") units = this.equalsOf(unit);
      this.chooseUnit(unit, on, marked);
    }
    for (const one of units) this.chooseStage(one, on, marked);
    this.mark(on, marked);
    this.markEntries(kind, where, units);
    setText(this.status, this.tell(kind, where, unit));
  }

  /** The units of the perceptron whose sum a unit of the network is. */
  equalsOf([p, u]) {
    const form = this.forms[p];
    return form ? form[1].map(([, start]) => [form[0], start + u]) : [];
  }

  chooseUnit([p, u], on, marked) {
    const layer = this.layers[p + 1];
    marked.n.add(`${p},${u}`);
    for (const [from, j, , weight] of layer.reads?.[u] || []) {
      on.n.set(`${from},${j}`, this.colour(weight, layer.kernel));
      if (weight >= 0) on.k.set(`${p},${weight}`, this.colour(weight, layer.kernel));
    }
    if (!layer.reads) return;
    const terms = layer.reads[u].map(([from, j, factor, weight]) => {
      const source = this.layers[from + 1];
      return { weight, name: source.labels[j], factor, value: source.values[j] };
    });
    const { sign, kernel } = layer;
    const [bias, value] = [layer.bias?.[u], layer.values[u]];
    this.made(layer.labels[u], terms, { sign, bias, value, kernel });
    if (sign === "max" && terms.length > 1 && terms.length <= MOST_MEET) {
      this.equation.append(bracketOf(terms.map((term) => numberOf(term.value))));
    }
  }

  chooseStage([s, i], on, marked) {
    marked.m.add(`${s},${i}`);
    if (s < 0) return;
    const stage = this.stages[s];
    const { kernel } = this.layers[stage.owner + 1];
    const before = s ? this.stages[s - 1].values : this.layers[0].values;
    const terms = (stage.reads ? stage.reads[i] : [[i, "1"]]).map(([j, factor], n) => {
      const weight = stage.reads ? this.weightOf(stage, i, n) : -1;
      on.m.set(`${s - 1},${j}`, this.colour(weight, kernel));
      return { weight, name: `u${s ? s - 1 : "x"}[${j}]`, factor, value: before[j] };
    });
    const sign = stage.kind === "ReLU" ? "relu" : "";
    const [bias, value] = [stage.bias?.[i], stage.values[i]];
    this.made(`u${s}[${i}]`, terms, { sign, bias, value, kernel });
  }

  mark(on, marked) {
    for (const side of SIDES) {
      for (const [key, { classList, style }] of this.nodes[side]) {
        classList.toggle("marked", marked[side].has(key));
        classList.toggle("on", on[side].has(key));
        classList.toggle("tint", side !== "k" && on[side].has(key));
        if (on[side].has(key)) style.setProperty("--tint", on[side].get(key));
      }
    }
  }

  markEntries(kind, [p, u], units) {
    const rows = new Set(units.map(([s, i]) => `${s},${i}`));
    for (const { s, p: owner, row, weight, node } of this.entries) {
      const lit = kind === "k" ? owner === p && weight === u : rows.has(`${s},${row}`);
      node.classList.toggle("on", lit);
    }
    this.bands.forEach(({ node, size }, s) => {
      const found = units.find(([own]) => own === s);
      put(node, { y: found ? found[1] * size : 0, visibility: found ? "visible" : "hidden" });
    });
  }

  /** One unit written out: what it is made of, then in numbers. */
  made(name, terms, { sign, bias, value, kernel }) {
    const one = sign || terms.every(({ factor }) => factor === "1");
    const join = sign === "max" ? ", " : " + ";
    const open = sign && sign !== "same" ? `${sign}(` : "";
    const close = open ? ")" : "";
    const plus = bias && bias !== "0" ? ` + ${signed(bias)}` : "";
    const chips = (write) =>
      terms.slice(0, 30).flatMap((term, n) => {
        const style = `--tint:${this.colour(term.weight, kernel)}`;
        const chip = html("span", { style }, write(term));
        return n ? [join, chip] : [chip];
      });
    const more = terms.length > 30 ? `${join}${terms.length - 30} more` : "";
    const times = (factor, what) => (one ? what : `${signed(factor)}·${what}`);
    const is = this.rounded ? " ≈ " : " = ";
    const names = chips((term) => times(term.factor, term.name));
    const numbers = chips((term) => times(term.factor, signed(term.value)));
    const copied = terms.length === 1 && one && !open && !plus; // as it is: that number is the value
    const end = close + plus + (copied ? "" : is + value);
    this.equation.append(
      html("div", {}, `${name} = ${open}`, ...names, more, close + plus),
      html("div", {}, is + open, ...numbers, more, end),
    );
  }

  tell(kind, [p, u], unit) {
    if (kind === "k") {
      const { kernel, name } = this.layers[p + 1];
      const places = this.entries.filter((one) => one.p === p && one.weight === u).length;
      return this.say("kernel", { v: kernel.values[u], name, n: counted(places, "place") });
    }
    if (!unit) {
      const { owner } = this.stages[p];
      return this.say("step", { s: p, i: u, p: owner, name: this.layers[owner + 1].name });
    }
    const [q, i] = unit;
    const layer = this.layers[q + 1];
    const told = { unit: layer.labels[i], p: q, name: layer.name, v: layer.values[i] };
    const form = this.forms[q];
    if (!form) return this.say("folded", told);
    return this.say(q < 0 ? "source" : "same", { ...told, where: whereIs(form, i) });
  }
}

/** Where each of `count` cells stands; a list that is too long goes on in the next line. */
function placing(shape, count, w, h) {
  const across = shape.length > 3 ? shape[1] : 1;
  const most = Math.max(1, Math.floor(STRIP / w));
  let [lines, cells] = shape.slice(-2);
  if (cells === count && cells > most) [lines, cells] = [Math.ceil(count / most), most];
  const plane = { wide: cells * w + 6, tall: lines * h + 6 };
  return {
    cells,
    width: across * plane.wide - 6,
    height: shape[0] * plane.tall - 6,
    of: (u) => {
      const n = Math.floor(u / (lines * cells));
      const [i, j] = [Math.floor(u / cells) % lines, u % cells];
      return [(n % across) * plane.wide + j * w, Math.floor(n / across) * plane.tall + i * h];
    },
  };
}

/** Write where a unit of the network is in the perceptron: a unit, or a sum of units. */
function whereIs([stage, terms], unit) {
  const name = `u${stage < 0 ? "x" : stage}`;
  return terms
    .map(([factor, start], n) => {
      const plus = n ? " + " : "";
      const times = factor === "1" ? plus : factor === "-1" ? " − " : `${plus}${factor}·`;
      return `${times}${name}[${start + unit}]`;
    })
    .join("");
}
