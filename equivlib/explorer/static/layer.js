// The linked picture of one layer: draws the facts that the library computed and follows their links.
const part = ({ shape: [, h, w] }, n) => [floor(n / h / w), n % (h * w)]; // channel, place in it

customElements.define(TAG, class extends Linked {
  build() {
    this.choices = this.settings.map(({ title }, i) => button(title, title, () => this.show(i)));
    this.turn = button("Wᵀ by columns", "Read W by columns", () => {
      this.columns = !this.columns;
      this.chosen = null;
      this.show(this.shown);
    });
    this.digits = button("Numbers", "Numbers in W", () => {
      this.numbers = !this.numbers;
      this.show(this.shown);
    });
    this.code = html("pre", { tabindex: 0, role: "region", "aria-label": "Code" });
    this.copy = button("Copy", "", () =>
      navigator.clipboard?.writeText(this.code.textContent).then(() => { this.copy.textContent = "Copied"; }));
    this.more.append(
      group("Setting", ...(this.choices[1] ? this.choices : [])), group("Matrix", this.turn, this.digits),
      html("details", {}, html("summary", {}, "Code"), this.copy, this.code));
    this.show(0);
  }

  // One setting: its links both ways, its panels.
  show(number) {
    this.shown = number;
    const [kind, at] = this.chosen || [], name = kind && this.names(kind, at);
    const { x, k, y, reads, columns, weights, code } = (this.facts = this.settings[number]);
    this.choices.forEach((one, i) => put(one, { "aria-pressed": i === number }));
    this.summary.textContent = "Settings" + (this.choices[1] ? ": " + this.settings[number].title : "");
    put(this.turn, { "aria-pressed": !!this.columns });
    put(this.digits, { "aria-pressed": !!this.numbers });
    this.code.textContent = code;
    this.copy.textContent = "Copy";
    this.links = []; // every place, weight, output and entry of W that belong together
    this.entries = new Map(); // the weights of each entry of W that is not empty
    this.wide = x.labels.length;
    reads.forEach((places, row) => places.forEach((place, n) => {
      const k = weights[part(y, row)[0]][n], column = columns[place], W = column < 0 ? -1 : row * this.wide + column;
      this.links.push({ x: place, k, y: row, W, column });
      if (W >= 0) this.entries.set(W, [...(this.entries.get(W) || []), k]);
    }));
    this.panels = {};
    const { words } = this, rows = y.labels.length, big = max(rows, this.wide) <= this.labelled;
    const long = max(...[...k.labels, ...x.labels].map((label) => label.length));
    const double = [...this.entries.values()].some((found) => found[1] >= 0);
    this.board.replaceChildren(
      this.panel("x", words[this.columns ? "result" : "input"], x.shape, x.padded),
      html("div", { class: "side" },
        this.panel("k", k.title, k.shape, k.shape),
        this.panel("y", words[this.columns ? "given" : "output"], y.shape, y.shape)),
      this.panel("W", "matrix W: " + words[this.columns ? "tall" : "wide"], [rows, this.wide], [1, rows, this.wide],
        big ? max(24, 6 + 7 * long) : 1, big ? (double ? 30 : 18) : 1));
    this.fit();
    // What was chosen stays chosen, if it still has its name.
    if (kind) for (const key of this.panels[kind].spots.keys()) if (this.names(kind, key) === name) return this.select(kind, key);
    this.pin(false);
    this.select(this.result(), this.columns ? this.walk()[0] : y.start);
  }
  // Everything in one row if it fits, or W below the rest; none much taller than a phone is wide.
  fit() {
    const { x, k, y, W } = this.panels, room = this.board.clientWidth, upper = x.need + k.need + y.need + 40, all = upper + W.need + 20;
    const one = all <= room, large = (node, need, tall) => node.style.setProperty("--s", max(1, min(room < 500 ? 1 : 1.6, room / need, tall)));
    // Lines of several channels stand above kernel and output, which are higher.
    this.board.className = "board " + (one ? "one" : upper > room && x.height < max(k.height, y.height) ? "line" : "");
    large(this.board, one ? all : upper, 230 / max(x.height, k.height, y.height));
    large(W.box, one ? all : W.need, 370 / W.height);
  }

  names(kind, at) {
    const { x, k, y, columns } = this.facts;
    if (kind === "W") return y.labels[floor(at / this.wide)] + x.labels[at % this.wide];
    return kind === "x" ? x.labels[columns[at]] + x.inside[at] : (kind === "k" ? k : y).labels[at];
  }
  entry(at) {
    return this.facts.sums[at] || this.facts.k.values[this.entries.get(at)[0]];
  }

  // A panel is planes of cells, one below the other; kernels stand side by side as well.
  panel(kind, title, told, shape, w = 30, h = 30) {
    const across = shape[3] ? shape[1] : 1, [lines, cells] = shape.slice(-2);
    const matrix = kind === "W", [left, top] = matrix && w > 1 ? [36, 18] : [0, 0];
    if (!matrix) {
      const { labels, values } = this.facts[kind];
      w = max(w, 6 + 7 * max(...[...labels, ...values].map((text) => text.length)));
      if (max(lines, lines > 1 ? cells : cells / 3) > 14) w = h = 9;
    }
    const big = w > 9, gap = matrix ? 0 : 8;
    const along = (planes, n, size, start) => Array.from({ length: planes * n }, (_, i) => start + i * size + floor(i / n) * gap);
    const xs = along(across, cells, w, left), ys = along(shape[0], lines, h, top);
    const at = (i, j) => ((floor(i / lines) * across + floor(j / cells)) * lines + (i % lines)) * cells + (j % cells);
    const width = xs.at(-1) + w, height = ys.at(-1) + h;
    const sheet = svg("svg", { viewBox: `-2 -2 ${width + 4} ${height + 4}`, class: big ? "" : "small", "aria-hidden": true });
    const size = max(w > 1 ? 0 : 300, width + 4), sizes = told.join(" × ");
    sheet.style.width = `calc(var(--s)*${size}px)`;
    if (matrix) sheet.append(svg("rect", { x: left, y: top, width: width - left, height: height - top, class: "ground" }));
    const nodes = new Map(), spots = new Map();
    ys.forEach((y, i) => xs.forEach((x, j) => {
      const key = at(i, j), cell = this.cell(kind, key);
      spots.set(key, [i, j]);
      if (!cell) return;
      const node = svg("g", { class: "cell " + (cell.kind || ""), "data-at": key }, svg("rect", { x, y, width: w, height: h }));
      if (cell.fill) node.firstChild.style.fill = cell.fill;
      if (!big && cell.level) node.firstChild.style.fill = `hsl(0 0% ${46 + cell.level * 5}%)`;
      // A second weight in the same entry takes half of the cell.
      if (cell.half) node.append(svg("path", { d: `M${x + w} ${y}v${h}h${-w}z`, style: "fill:" + cell.half }));
      if (big) cell.lines.forEach((line, n) => node.append(svg("text", {
        x: x + w / 2, y: y + (matrix ? (cell.half ? 12 + n * 13 : h / 2 + 4) : 12 + n * 14),
      }, line)));
      nodes.set(key, sheet.appendChild(node));
    }));
    if (matrix && big) {
      const head = (text, x, y, end) => sheet.append(svg("text", { x, y, class: "head " + end }, text));
      this.facts.x.labels.forEach((label, j) => head(label, xs[j] + w / 2, top - 5, ""));
      this.facts.y.labels.forEach((label, i) => head(label, left - 4, ys[i] + h / 2 + 4, "end"));
    }
    if (matrix) for (const n of [1, 2]) { // lines of the image, then channels
      const size = ({ shape }) => shape[2] * (n > 1 ? shape[1] : 1), d = [];
      for (let j = size(this.facts.x); j < cells; j += size(this.facts.x)) d.push(`M${xs[j]} ${top}V${height}`);
      for (let i = size(this.facts.y); i < lines; i += size(this.facts.y)) d.push(`M${left} ${ys[i]}H${width}`);
      sheet.append(svg("path", { d: d.join(""), class: "block b" + n }));
    }
    const band = sheet.appendChild(svg("rect", { class: "band" }));
    const box = html("div", { class: "box", tabindex: 0, role: "application", "aria-label": title, "data-panel": kind }, sheet);
    const found = (event) => {
      const area = sheet.getBoundingClientRect(), scale = (width + 4) / area.width;
      const last = (list, v) => max(0, list.findLastIndex((start) => start <= v));
      return at(last(ys, (event.clientY - area.top) * scale - 2), last(xs, (event.clientX - area.left) * scale - 2));
    };
    const panel = (this.panels[kind] = { nodes, spots, band, box, xs, ys, w, h, width, height, left, top, cursor: [0, 0], need: max(size, 6.6 * (title + sizes).length) });
    this.listen(box, kind, found, (i, j) => {
      const [row, column] = panel.cursor;
      panel.cursor = [min(ys.length - 1, max(0, row + i)), min(xs.length - 1, max(0, column + j))];
      return at(...panel.cursor);
    });
    return html("div", { class: "panel " + kind }, html("div", { class: "title" }, title, html("small", {}, " " + sizes)), box);
  }
  // What a cell shows: nothing, for an empty entry of W.
  cell(kind, at) {
    const { x, k, y, columns } = this.facts;
    if (kind === "W") {
      const found = this.entries.get(at);
      if (!found) return;
      const names = this.numbers ? [this.entry(at)] : found.map((weight, n) => (n ? "+" : "") + k.labels[weight]);
      if (names.length > 2) names.splice(1, names.length, "+…");
      return { lines: names, fill: this.colour(found[0]), half: found[1] >= 0 && this.colour(found[1]) };
    }
    if (kind === "k") return { lines: [k.labels[at], k.values[at]], fill: this.colour(at) };
    if (kind === "y") return { lines: [y.labels[at], y.values[at]], level: y.levels[at] };
    const column = columns[at], outside = !x.inside[at];
    // By columns, what falls on the padding is dropped: it is no result.
    if (outside) return { lines: ["", this.columns ? "" : x.values[column] || "0"], kind: "outside", level: x.levels[column] };
    return { lines: [x.labels[column], (this.columns ? x.back : x.values)[column]], level: x.levels[column] };
  }
  colour(weight) {
    return this.colours[(weight % this.facts.k.hues) % this.colours.length];
  }

  result() {
    return this.columns ? "x" : "y";
  }
  walk() {
    const { x, y } = this.facts;
    return this.columns ? [...x.inside.keys()].filter((at) => x.inside[at]) : [...y.labels.keys()];
  }

  // The selection: what lights up, the equation, the sentence.
  select(kind, at) {
    this.chosen = [kind, at];
    const { columns } = this.facts, column = kind === "x" ? columns[at] : kind === "W" ? at % this.wide : -1;
    const own = this.entries.get(kind === "W" ? at : -1) || [];
    const links = this.links.filter((link) => (kind === "x" && column >= 0 ? link.column === column : link[kind] === at));
    const twins = own[1] >= 0 ? [] : this.links.filter((link) => link.k === own[0] && link.W >= 0 && link.W !== at);
    const on = { x: new Map(), k: new Map(), y: new Map(), W: new Map() };
    for (const link of links) for (const panel in on) on[panel].set(link[panel], link.k);
    for (const link of twins) on.W.set(link.W, link.k);
    const same = { x: (key) => column >= 0 && columns[key] === column, y: (key) => kind === "W" && key === floor(at / this.wide) };
    for (const panel in on) for (const [key, { classList, style }] of this.panels[panel].nodes) {
      const weight = on[panel].get(key), tint = weight >= 0 && panel !== kind && (panel === "x" || panel === "y");
      classList.toggle("on", weight >= 0);
      classList.toggle("marked", (panel === kind && key === at) || !!same[panel]?.(key));
      classList.toggle("tint", tint);
      if (tint) style.setProperty("--tint", this.colour(weight));
    }
    // The row, the column or the entry of W, framed and scrolled into view.
    const { band, box, spots, xs, ys, w, h, left, top, width, height } = this.panels.W;
    const [i, j] = kind === "W" ? spots.get(at) : [at, column], across = kind === "y";
    put(band, {
      x: across ? left : xs[j] ?? 0, width: across ? width - left : w,
      y: kind === "x" ? top : ys[i] ?? 0, height: kind === "x" ? height - top : h,
      visibility: kind === "k" || (kind === "x" && column < 0) ? "hidden" : "visible",
    });
    const seen = [...on.W.keys()].filter((entry) => entry >= 0 && kind !== "W");
    if (seen[0] >= 0) {
      box.scrollLeft = ((xs[min(...seen.map((entry) => entry % this.wide))] - 3 * w) * box.scrollWidth) / width;
      box.scrollTop = ((ys[floor(min(...seen) / this.wide)] - 3 * h) * box.scrollHeight) / height;
    }
    this.panels[kind].cursor = this.panels[kind].spots.get(at);
    this.equation.replaceChildren();
    this.status.textContent = this["tell" + kind](at, links, twins);
  }
  sum(name, terms, total) {
    const { labels, values } = this.facts.k, is = this.facts.rounded ? " ≈ " : " = ";
    this.line(name + " = ", terms, (weight, other) => labels[weight] + "·" + (other || "0"), "");
    this.line(is, terms, (weight, other, value) => signed(values[weight]) + "·" + signed(value), is + total);
  }
  telly(row, links) {
    const { x, y } = this.facts, met = links.filter((link) => link.column < 0).length, n = links.length - met;
    const told = { y: y.labels[row], v: y.values[row], r: row };
    if (this.columns) return this.say("spread", { ...told, n: count(n, "place") });
    this.sum(told.y, links.map(({ k, column }) => [k, x.labels[column], x.values[column] || "0"]), told.v);
    return this.say("row", { ...told, n: count(n, "weight"), pad: met ? this.say("met", { n: count(met, "weight") }) : "" });
  }
  tellx(place, links) {
    const { x, k, y, columns } = this.facts, c = columns[place], label = x.labels[c];
    const ys = links.length ? listed(links.map((link) => y.labels[link.y])) : this.words.nobody;
    if (c < 0) return this.say("zero", { ys });
    const told = { x: label, c, ys }, copy = x.inside[place] ? "" : this.say("copy", told);
    const terms = links.map((link) => [link.k, y.labels[link.y], y.values[link.y]]);
    if (!this.columns) {
      this.line(label + " → ", terms, (weight, other) => `${k.labels[weight]}·${label} in ${other}`, "");
      return copy + this.say("column", { ...told, v: x.values[c] });
    }
    this.sum(`(Wᵀy) at ${label}`, terms, x.back[c]);
    return copy + this.say("collect", { ...told, v: x.back[c] });
  }
  tellk(weight, links) {
    const { x, k, y } = this.facts, places = links.filter((link) => link.column >= 0), missed = links.length - places.length;
    const told = { k: k.labels[weight], v: k.values[weight], n: count(k.counts[weight], "place") };
    this.equation.append(this.say("tap", told));
    return this.say("weight", {
      ...told, places: listed(places.map((link) => `${x.labels[link.column]} in ${y.labels[link.y]}`)),
      pad: missed ? this.say("missed", { n: count(missed, "time") }) : "",
    });
  }
  tellW(at, links, twins) {
    const { x, k, y } = this.facts, r = floor(at / this.wide), c = at % this.wide;
    const told = { r, c, x: x.labels[c], y: y.labels[r], k: links.map((link) => k.labels[link.k]).join(" + ") };
    // In an image, the row is written out as well: it is too small to read.
    if (this.panels.W.w === 1) this.telly(r, this.links.filter((link) => link.y === r));
    if (!told.k) return this.say("empty", told) + this.say(...this.reason(r, c, told));
    this.equation.append(`W[${r}, ${c}] = ${told.k} = ${this.entry(at)}`);
    return this.say(links[1] ? "sum" : "entry", { ...told, n: count(twins.length, "other place") });
  }
  reason(row, column, told) {
    const { x, k, y, why, weights } = this.facts;
    const [u, position] = part(y, row), [c, j] = part(x, column), tap = why.edges?.[position][j];
    if (why.groups && why.groups[0][c] !== why.groups[1][u]) return ["group", told];
    if (why.gaps?.[position].includes(j)) return ["gap", told];
    return tap >= 0 ? ["edge", { ...told, k: k.labels[weights[u][(c * k.taps + tap) % weights[u].length]] }] : ["reach", told];
  }
});
