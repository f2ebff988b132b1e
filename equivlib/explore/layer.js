// The linked picture of one layer: draws the facts that the library computed and follows their links.
const part = ({ shape: [, h, w] }, n) => [Math.floor(n / h / w), n % (h * w)]; // channel, place in it

customElements.define(TAG, class extends Linked {
  build() {
    const group = (label, ...children) => html("span", { role: "group", "aria-label": label }, ...children);
    this.choices = this.settings.map(({ title }, i) => button(title, title, () => this.show(i)));
    this.turn = button("Read by columns: Wᵀ", "Read W by columns", () => {
      this.columns = !this.columns;
      this.chosen = null;
      this.show(this.shown);
    });
    this.player = button("", "", () => { this.touched = true; this.play(!this.timer); });
    this.player.hidden = media("reduced-motion: reduce").matches;
    this.code = html("pre", { tabindex: 0, role: "region", "aria-label": "Code" });
    const copy = button("Copy", "Copy the code", () =>
      navigator.clipboard?.writeText(this.code.textContent).then(() => { copy.textContent = "Copied"; }));
    this.shadowRoot.append(
      html("div", { class: "bar" },
        group("Setting", ...(this.choices[1] ? this.choices : [])),
        group("Step", button("◀", "Step back", () => this.step(-1)), this.player, button("▶|", "Step on", () => this.step(1))),
        this.turn),
      this.board, this.equation, this.status, this.free,
      html("details", {}, html("summary", {}, "Code"), copy, this.code));
    this.play(false);
    this.show(0);
    // It starts by itself once it is seen, unless somebody was faster or wants no motion.
    const seen = new IntersectionObserver(([entry]) => {
      if (!entry.isIntersecting) return;
      seen.disconnect();
      if (!this.touched && !this.player.hidden) this.play(true);
    }, { threshold: 0.6 });
    seen.observe(this);
  }

  // One setting: its links both ways, its panels.
  show(number) {
    this.shown = number;
    const { x, k, y, reads, columns, weights, code } = (this.facts = this.settings[number]);
    this.choices.forEach((one, i) => one.setAttribute("aria-pressed", i === number));
    this.turn.setAttribute("aria-pressed", !!this.columns);
    this.code.textContent = code;
    this.links = []; // every place, weight, output and entry of W that belong together
    this.entries = new Map(); // the weights of each entry of W that is not empty
    this.wide = x.labels.length;
    reads.forEach((places, row) => places.forEach((place, n) => {
      const k = weights[part(y, row)[0]][n], column = columns[place], W = column < 0 ? -1 : row * this.wide + column;
      this.links.push({ x: place, k, y: row, W, column });
      if (W >= 0) this.entries.set(W, [...(this.entries.get(W) || []), k]);
    }));
    this.panels = {};
    const rows = y.labels.length, big = Math.max(rows, this.wide) <= this.labelled;
    const long = Math.max(...k.labels.map((label) => label.length));
    const double = [...this.entries.values()].some((found) => found[1] >= 0);
    this.board.replaceChildren(
      this.panel("x", this.columns ? "result Wᵀy" : "input x", x.shape, x.padded),
      this.panel("k", "kernel", k.shape, k.shape),
      this.panel("y", this.columns ? "given y" : "output y", y.shape, y.shape),
      this.panel("W", `matrix W: each ${this.columns ? "column" : "row"} is one sum`, [rows, this.wide], [1, rows, this.wide],
        big ? Math.max(24, 8 + 6.5 * long) : 1, big ? (double ? 30 : 22) : 1));
    const [kind, at] = this.chosen || [];
    if (kind && this.panels[kind].spots.has(at)) return this.select(kind, at);
    this.pin(false);
    this.select(this.result(), this.walk()[0]);
  }

  // A panel is planes of cells, one below the other; kernels stand side by side as well.
  panel(kind, title, told, shape, w = 36, h = 36) {
    const across = shape[3] ? shape[1] : 1, [lines, cells] = shape.slice(-2);
    const matrix = kind === "W", [left, top] = matrix && w > 1 ? [36, 18] : [0, 0];
    if (!matrix && Math.max(lines, cells) > 12) w = h = 13;
    const big = w > 13, gap = matrix ? 0 : 8;
    const along = (planes, n, size, start) => Array.from({ length: planes * n }, (_, i) => start + i * size + Math.floor(i / n) * gap);
    const xs = along(across, cells, w, left), ys = along(shape[0], lines, h, top);
    const at = (i, j) => ((Math.floor(i / lines) * across + Math.floor(j / cells)) * lines + (i % lines)) * cells + (j % cells);
    const width = xs.at(-1) + w, height = ys.at(-1) + h;
    const drawing = svg("svg", { viewBox: `-2 -2 ${width + 4} ${height + 4}`, class: big ? "" : "small", "aria-hidden": true });
    drawing.style.width = (w > 1 ? width + 4 : Math.max(320, 2 * width)) + "px";
    if (matrix && w > 1) drawing.style.minWidth = left + cells * Math.max(22, w * 0.8) + "px";
    if (matrix) drawing.append(svg("rect", { x: left, y: top, width: width - left, height: height - top, class: "ground" }));
    const nodes = new Map(), spots = new Map();
    ys.forEach((y, i) => xs.forEach((x, j) => {
      const key = at(i, j), cell = this.cell(kind, key);
      spots.set(key, [i, j]);
      if (!cell) return;
      const node = svg("g", { class: "cell " + (cell.kind || ""), "data-at": key }, svg("rect", { x, y, width: w, height: h }));
      if (cell.fill) node.firstChild.style.fill = cell.fill;
      if (!big && cell.level) node.firstChild.style.fillOpacity = 0.1 + cell.level / 10;
      // A second weight in the same entry takes half of the cell.
      if (cell.half) node.append(svg("path", { d: `M${x + w} ${y}v${h}h${-w}z`, style: "fill:" + cell.half }));
      if (big) cell.lines.forEach((line, n) => node.append(svg("text", {
        x: x + w / 2, y: y + (matrix ? (cell.half ? 12 + n * 13 : h / 2 + 4) : 11 + n * 15), class: line.length > 5 ? "long" : "",
      }, line)));
      nodes.set(key, drawing.appendChild(node));
    }));
    if (matrix && big) {
      const head = (text, x, y, end) => drawing.append(svg("text", { x, y, class: "head " + end }, text));
      this.facts.x.labels.forEach((label, j) => head(label, xs[j] + w / 2, top - 5, ""));
      this.facts.y.labels.forEach((label, i) => head(label, left - 4, ys[i] + h / 2 + 4, "end"));
    }
    if (matrix) for (const n of [1, 2]) { // lines of the image, then channels
      const size = ({ shape }) => shape[2] * (n > 1 ? shape[1] : 1), d = [];
      for (let j = size(this.facts.x); j < cells; j += size(this.facts.x)) d.push(`M${xs[j]} ${top}V${height}`);
      for (let i = size(this.facts.y); i < lines; i += size(this.facts.y)) d.push(`M${left} ${ys[i]}H${width}`);
      drawing.append(svg("path", { d: d.join(""), class: "block b" + n }));
    }
    const band = drawing.appendChild(svg("rect", { class: "band" }));
    const box = html("div", { class: "box", tabindex: 0, role: "application", "aria-label": title, "data-panel": kind }, drawing);
    const found = (event) => {
      const area = drawing.getBoundingClientRect(), scale = (width + 4) / area.width;
      const last = (list, v) => Math.max(0, list.findLastIndex((start) => start <= v));
      return at(last(ys, (event.clientY - area.top) * scale - 2), last(xs, (event.clientX - area.left) * scale - 2));
    };
    const panel = (this.panels[kind] = { nodes, spots, band, box, xs, ys, w, h, width, height, left, top, cursor: [0, 0] });
    this.listen(box, kind, found, (i, j) => {
      const [row, column] = panel.cursor;
      panel.cursor = [Math.min(ys.length - 1, Math.max(0, row + i)), Math.min(xs.length - 1, Math.max(0, column + j))];
      return at(...panel.cursor);
    });
    return html("div", { class: "panel " + kind }, html("div", { class: "title" }, title, html("small", {}, " " + told.join(" × "))), box);
  }
  // What a cell shows: nothing, for an empty entry of W.
  cell(kind, at) {
    const { x, k, y, columns } = this.facts;
    if (kind === "W") {
      const found = this.entries.get(at);
      if (!found) return;
      const names = found.map((weight, n) => (n ? "+" : "") + k.labels[weight]);
      if (names.length > 2) names.splice(1, names.length, "+…");
      return { lines: names, fill: this.colour(found[0]), half: found[1] >= 0 && this.colour(found[1]) };
    }
    if (kind === "k") return { lines: [k.labels[at], k.values[at]], fill: this.colour(at) };
    if (kind === "y") return { lines: [y.labels[at], y.values[at]], level: y.levels[at] };
    const column = columns[at], outside = !x.inside[at];
    if (column < 0) return { lines: ["", "0"], kind: "outside" };
    return { lines: [outside ? "" : x.labels[column], (this.columns ? x.back : x.values)[column]], level: x.levels[column], kind: outside ? "outside" : "" };
  }
  colour(weight) {
    return this.colours[(weight % this.facts.k.taps) % this.colours.length];
  }

  // The walk over the results, one after the other.
  result() {
    return this.columns ? "x" : "y";
  }
  walk() {
    const { x, y } = this.facts;
    return this.columns ? [...x.inside.keys()].filter((at) => x.inside[at]) : [...y.labels.keys()];
  }
  step(by, playing) {
    const walk = this.walk(), [kind, at] = this.chosen, now = kind === this.result() ? walk.indexOf(at) : -1;
    if (playing && now === walk.length - 1) return this.play(false);
    if (!playing) {
      this.touched = true;
      this.pin(false);
      this.play(false);
    }
    this.select(this.result(), walk[(now + by + walk.length) % walk.length]);
  }
  play(on) {
    clearInterval(this.timer);
    this.timer = on && setInterval(() => this.step(1, true), 1100);
    if (on) {
      this.pin(false);
      if (this.chosen[1] === this.walk().at(-1)) this.select(this.chosen[0], this.walk()[0]);
    }
    this.status.setAttribute("aria-live", on ? "off" : "polite");
    this.player.textContent = on ? "❚❚" : "▶";
    this.player.setAttribute("aria-label", on ? "Pause" : "Play");
  }

  // The selection: what lights up, the equation, the sentence.
  select(kind, at) {
    this.chosen = [kind, at];
    const { columns } = this.facts, column = kind === "x" ? columns[at] : kind === "W" ? at % this.wide : -1;
    const own = new Set(this.entries.get(kind === "W" ? at : -1));
    const links = this.links.filter((link) => (kind === "x" && column >= 0 ? link.column === column : link[kind] === at));
    const twins = this.links.filter((link) => own.has(link.k) && link.W >= 0 && link.W !== at);
    const on = { x: new Map(), k: new Map(), y: new Map(), W: new Map() };
    for (const link of links) for (const panel in on) on[panel].set(link[panel], link.k);
    for (const link of twins) on.W.set(link.W, link.k);
    const same = { x: (key) => column >= 0 && columns[key] === column, y: (key) => kind === "W" && key === Math.floor(at / this.wide) };
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
    const first = kind === "W" ? -1 : Math.min(...[...on.W.keys()].filter((entry) => entry >= 0).map((entry) => entry % this.wide));
    if (xs[first] >= 0) box.scrollLeft = ((xs[first] - 3 * w) * box.scrollWidth) / width;
    this.panels[kind].cursor = this.panels[kind].spots.get(at);
    this.equation.replaceChildren();
    this.status.textContent = this["tell" + kind](at, links, twins);
  }
  // A sum in symbols, then in numbers; what has no label is a zero of the padding.
  sum(name, terms, total) {
    const { labels, values } = this.facts.k;
    const line = (start, write, end) => this.equation.append(html("div", {}, start + " = ", ...terms.slice(0, 40).flatMap(([weight, other, value], n) => {
      const chip = html("span", { class: other ? "" : "gone", style: "--tint:" + this.colour(weight) }, write(weight, other || "0", value));
      return n ? [" + ", chip] : [chip];
    }), terms.length > 40 ? ` + ${terms.length - 40} more` : "", terms.length ? "" : "0", end));
    line(name, (weight, other) => labels[weight] + "·" + other, "");
    line("", (weight, other, value) => signed(values[weight]) + "·" + signed(value), " = " + total);
  }
  telly(row, links) {
    const { x, y } = this.facts, met = links.filter((link) => link.column < 0).length, rest = links.length - met;
    if (this.columns) return `${y.labels[row]} = ${y.values[row]} spreads to ${count(rest, "place")}: row ${row} of W is a column of Wᵀ.`;
    this.sum(y.labels[row], links.map(({ k, column }) => [k, x.labels[column], x.values[column] || "0"]), y.values[row]);
    return `Output ${y.labels[row]} = ${y.values[row]}: row ${row} of W, ${count(rest, "weight")} on the patch that it reads.`
      + (met ? ` The padding, which has no column in W, meets ${count(met, "weight")}.` : "");
  }
  tellx(place, links) {
    const { x, y, columns } = this.facts, column = columns[place], readers = links.length ? "read by " + listed(links.map((link) => y.labels[link.y])) : "read by no output";
    if (column < 0) return `Padding: a zero that has no column in W, ${readers}.`;
    this.sum(`(Wᵀy) at ${x.labels[column]}`, links.map((link) => [link.k, y.labels[link.y], y.values[link.y]]), x.back[column]);
    return (this.columns ? `Result ${x.back[column]} at ${x.labels[column]}` : `Input ${x.labels[column]} = ${x.values[column]}`)
      + `: column ${column} of W, ${readers}. Its sum with y is the transposed convolution.`;
  }
  tellk(weight, links) {
    const { x, k, y } = this.facts, name = k.labels[weight], places = links.filter((link) => link.column >= 0);
    this.equation.append(`W = ${name}·E + …, with ${count(k.counts[weight], "one")} in E, and ${name} = ${k.values[weight]}`);
    return `Weight ${name} = ${k.values[weight]} stands at ${count(k.counts[weight], "place")} of W: `
      + listed(places.map((link) => `${x.labels[link.column]} in ${y.labels[link.y]}`)) + "."
      + (links.length > places.length ? ` ${count(links.length - places.length, "time")} it meets the padding instead.` : "");
  }
  tellW(at, links, twins) {
    const { x, k, y, sums } = this.facts, row = Math.floor(at / this.wide), column = at % this.wide;
    const names = links.map((link) => k.labels[link.k]).join(" + "), where = `Row ${row}, column ${column}`;
    // In an image, the row is written out as well: it is too small to read.
    if (this.panels.W.w === 1) this.telly(row, this.links.filter((link) => link.y === row));
    if (!names) return `${where}: empty, because ${this.reason(row, column)}.`;
    this.equation.append(`W[${row}, ${column}] = ${names} = ${sums[at] || k.values[links[0].k]}`);
    return `${where}: ${names}, the weight of ${x.labels[column]} in ${y.labels[row]}; ` + `the same weight stands at ${count(new Set(twins.map((link) => link.W)).size, "other place")}.`;
  }
  reason(row, column) {
    const { x, k, y, why, weights } = this.facts, from = x.labels[column], to = y.labels[row];
    const [u, position] = part(y, row), [c, j] = part(x, column);
    if (why.groups && why.groups[0][c] !== why.groups[1][u]) return `${from} is in another group than ${to}`;
    if (why.gaps?.[position].includes(j)) return `${from} lies between two taps of ${to}: the dilation leaves it out`;
    const tap = why.edges?.[position][j];
    if (tap >= 0) return `the diagonal of ${k.labels[weights[u][(c * k.taps + tap) % weights[u].length]]} breaks off: for ${to} that weight meets the padding`;
    return `${from} is out of reach of ${to}`;
  }
});
