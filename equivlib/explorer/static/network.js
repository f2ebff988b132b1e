// A network beside its perceptron: a unit of one is a unit, or a sum of units, of the other.
customElements.define(TAG, class extends Linked {
  build() {
    this.nodes = { n: new Map(), m: new Map(), k: new Map() };
    this.entries = []; // of all matrices: stage, row, column, weight, drawn cell
    this.bands = [];
    this.columns = [0, 0]; // px that the two need at least
    this.layers.forEach((layer, i) => this.board.append(this.row(layer, i - 1)));
    this.select("n", this.start);
  }
  fit() {
    const room = this.board.clientWidth, [left, right] = this.columns;
    const scale = max(1, min(1.5, (room - 20) / (left + right)));
    this.board.style.setProperty("--s", scale);
    this.board.style.setProperty("--left", left + right + 20 > room ? 0 : left * scale + "px");
  }
  // The units of the network, from the first layer to the last.
  result() {
    return "n";
  }
  walk() {
    return [...this.nodes.n.keys()].filter((at) => at[0] !== "-");
  }
  // A layer on the left; on the right the stages of the perceptron that do the same.
  row(layer, p) {
    const name = p < 0 ? "input" : `layer ${p}: ${layer.name}`, kernel = layer.kernel;
    const left = [this.grid("n", p, name, layer.shape, layer.values.length, (u) => [layer.labels[u], layer.values[u]])];
    if (kernel) left.push(this.grid("k", p, "kernel", kernel.shape, kernel.values.length, (w) => ["", kernel.values[w]], (w) => this.colour(w, kernel)));
    const right = p < 0 ? [this.grid("m", -1, "perceptron: input", [1, 1, layer.values.length], layer.values.length, (u) => ["", layer.values[u]])] : [];
    this.stages.forEach((stage, s) => {
      if (stage.owner !== p) return;
      const told = stage.kind + (stage.reads ? ` ${stage.values.length} × ${stage.wide}` : "");
      const strip = this.grid("m", s, `stage ${s}: ${told}`, [1, 1, stage.values.length], stage.values.length, (u) => ["", stage.values[u]]);
      if (stage.reads) strip.firstChild.after(this.matrix(stage, s));
      right.push(strip);
    });
    if (!right.length) right.push(html("div", { class: "title" }, this.words.none));
    const pair = [left, right].map((panels, side) => {
      const needs = panels.map((node) => node.need || 0);
      this.columns[side] = max(this.columns[side], side ? max(...needs) : needs.reduce((sum, need) => sum + need + 10));
      return html("div", { style: `flex-basis:calc(var(--s)*${max(...needs)}px)` }, ...panels);
    });
    return html("div", { class: "pair" }, ...pair);
  }
  colour(weight, kernel) {
    return weight < 0 ? "#DDDDDD" : this.colours[(kernel ? weight % kernel.hues : weight) % this.colours.length];
  }

  grid(kind, p, title, shape, count, write, fill) {
    const across = shape[3] ? shape[1] : 1, nodes = this.nodes[kind];
    let [lines, cells] = shape.slice(-2);
    const h = kind === "n" ? 30 : 22, long = max(...Array.from({ length: count }, (_, u) => max(...write(u).map((text) => text.length))));
    const w = max(28, 6 + 7 * long), most = max(1, floor(330 / w));
    if (cells === count && cells > most) [lines, cells] = [Math.ceil(count / most), most]; // a long list goes on in the next line
    const place = (u) => {
      const n = floor(u / lines / cells);
      return [(n % across) * (cells * w + 6) + (u % cells) * w, floor(n / across) * (lines * h + 6) + (floor(u / cells) % lines) * h];
    };
    const [width, height] = [across * (cells * w + 6) - 6, (shape[0] * (lines * h + 6)) - 6];
    const sheet = svg("svg", { viewBox: `-2 -2 ${width + 4} ${height + 4}`, "aria-hidden": true, style: `width:calc(var(--s)*${width + 4}px)` });
    for (let u = 0; u < count; u++) {
      const [x, y] = place(u), [label, value] = write(u), face = svg("rect", { x, y, width: w, height: h });
      const node = svg("g", { class: "cell", "data-at": p + "," + u }, face, svg("text", { x: x + w / 2, y: y + 12 }, label), svg("text", { x: x + w / 2, y: y + h - (label ? 4 : 6) }, value));
      if (fill) face.style.fill = fill(u);
      nodes.set(p + "," + u, sheet.appendChild(node));
    }
    const found = (event) => event.target.closest("[data-at]")?.dataset.at || this.chosen[1];
    const box = html("div", { class: "box", tabindex: 0, role: "application", "aria-label": title, "data-panel": kind + p }, sheet);
    let cursor = 0;
    this.listen(box, kind, found, (i, j) => {
      const [own, at] = this.chosen;
      if (own === kind && nodes.has(at) && at.split(",")[0] == p) cursor = +at.split(",")[1];
      cursor = min(count - 1, max(0, cursor + i * cells + j));
      return p + "," + cursor;
    });
    const panel = html("div", { class: "panel " + kind }, html("div", { class: "title" }, title), box);
    panel.need = max(width + 4, 6.6 * title.length);
    return panel;
  }
  // The matrix of a stage, a square for each number; pointing at it points at the unit of the row.
  matrix(stage, s) {
    const rows = stage.values.length, size = max(4, min(18, floor(330 / stage.wide))), layer = this.layers[stage.owner + 1];
    const sheet = svg("svg", { viewBox: `-1 -1 ${stage.wide * size + 2} ${rows * size + 2}`, "aria-hidden": true, style: `width:calc(var(--s)*${stage.wide * size + 2}px)` },
      svg("rect", { width: stage.wide * size, height: rows * size, class: "ground" }));
    stage.reads.forEach((read, row) => read.forEach(([column], n) => {
      const made = layer.reads?.[row], weight = made?.length === read.length ? made[n][3] : -1;
      const node = sheet.appendChild(svg("rect", { x: column * size, y: row * size, width: size, height: size, class: "entry" }));
      node.style.fill = this.colour(weight, layer.kernel);
      this.entries.push({ s, p: stage.owner, row, column, weight, node });
    }));
    this.bands[s] = sheet.appendChild(svg("rect", { class: "band", width: stage.wide * size, height: size }));
    this.bands[s].size = size;
    const found = (event) => s + "," + min(rows - 1, max(0, floor(((event.clientY - sheet.getBoundingClientRect().top) / sheet.getBoundingClientRect().height) * rows)));
    sheet.onpointermove = (event) => { if (event.pointerType !== "touch") this.point("m", found(event)); };
    sheet.onclick = (event) => this.fix("m", found(event));
    return sheet;
  }

  // The unit of the network that one of the perceptron is, if there is one.
  equal(s, i) {
    for (const [p, [stage, terms]] of Object.entries(this.forms).sort(([a], [b]) => a - b)) {
      const u = i - terms[0][1];
      if (stage === s && terms.length === 1 && terms[0][0] === "1" && u >= 0 && u < this.layers[+p + 1].values.length) return [+p, u];
    }
  }
  select(kind, at) {
    this.chosen = [kind, at];
    let [p, u] = at.split(",").map(Number), units = kind === "m" ? [[p, u]] : [];
    const on = { n: new Map(), m: new Map(), k: new Map() }, marked = { n: new Set(), m: new Set(), k: new Set() };
    const stage = p, unit = kind === "m" ? this.equal(p, u) : kind === "n" ? [p, u] : null;
    this.equation.replaceChildren();
    if (kind === "k") marked.k.add(at);
    if (unit) {
      [p, u] = unit;
      marked.n.add(p + "," + u);
      const layer = this.layers[p + 1], form = this.forms[p];
      if (kind !== "m") units = form ? form[1].map(([, start]) => [form[0], start + u]) : [];
      for (const [from, j, , weight] of layer.reads?.[u] || []) {
        on.n.set(from + "," + j, this.colour(weight, layer.kernel));
        if (weight >= 0) on.k.set(p + "," + weight, this.colour(weight, layer.kernel));
      }
      if (layer.reads) this.made(layer.labels[u], layer.reads[u].map(([from, j, f, weight]) => [weight, this.layers[from + 1].labels[j], f, this.layers[from + 1].values[j]]), layer.sign, layer.bias?.[u], layer.values[u], layer.kernel);
    }
    for (const [s, i] of units) {
      marked.m.add(s + "," + i);
      if (s < 0) continue;
      const { kind: what, reads, values, bias, owner } = this.stages[s], layer = this.layers[owner + 1];
      const before = s ? this.stages[s - 1].values : this.layers[0].values;
      const terms = (reads ? reads[i] : [[i, "1"]]).map(([j, f], n) => {
        const made = layer.reads?.[i], weight = reads && made?.length === reads[i].length ? made[n][3] : -1;
        on.m.set(s - 1 + "," + j, this.colour(weight, layer.kernel));
        return [weight, `u${s ? s - 1 : "x"}[${j}]`, f, before[j]];
      });
      this.made(`u${s}[${i}]`, terms, what === "ReLU" ? "relu" : "", bias?.[i], values[i], layer.kernel);
    }
    for (const side in on) for (const [key, { classList, style }] of this.nodes[side]) {
      classList.toggle("marked", marked[side].has(key));
      classList.toggle("on", on[side].has(key));
      classList.toggle("tint", side !== "k" && on[side].has(key));
      if (on[side].has(key)) style.setProperty("--tint", on[side].get(key));
    }
    for (const { s, p: owner, row, weight, node } of this.entries) node.classList.toggle("on", kind === "k" ? owner === p && weight === u : marked.m.has(s + "," + row));
    this.bands.forEach((band, s) => {
      const [row] = units.filter(([own]) => own === s).map(([, i]) => i);
      put(band, { y: (row || 0) * band.size, visibility: row >= 0 ? "visible" : "hidden" });
    });
    this.status.textContent = this.tell(kind, stage, at, unit);
  }
  // One unit written out: what it is made of, then in numbers.
  made(name, terms, sign, bias, value, kernel) {
    const one = sign || terms.every(([, , f]) => f === "1"), paint = terms.map(([weight, ...rest]) => [weight, ...rest]);
    const join = sign === "max" ? ", " : " + ", open = sign && sign !== "same" ? sign + "(" : "", close = open ? ")" : "", plus = bias && bias !== "0" ? " + " + signed(bias) : "";
    const chips = (write) => paint.slice(0, 30).flatMap((term, n) => {
      const chip = html("span", { style: "--tint:" + this.colour(term[0], kernel) }, write(term));
      return n ? [join, chip] : [chip];
    });
    const more = terms.length > 30 ? `${join}${terms.length - 30} more` : "", times = (f, what) => (one ? what : `${signed(f)}·${what}`);
    const is = this.rounded ? " ≈ " : " = ";
    this.equation.append(html("div", {}, name + " = " + open, ...chips(([, label, f]) => times(f, label)), more, close + plus),
      html("div", {}, is + open, ...chips(([, , f, v]) => times(f, signed(v))), more, close + plus + is + value));
  }
  tell(kind, stage, at, unit) {
    const number = +at.split(",")[1];
    if (kind === "k") {
      const { kernel, name } = this.layers[stage + 1];
      return this.say("kernel", { v: kernel.values[number], name, n: count(this.entries.filter((e) => e.p === stage && e.weight === number).length, "place") });
    }
    if (!unit) return this.say("step", { s: stage, i: number, p: this.stages[stage].owner, name: this.layers[this.stages[stage].owner + 1].name });
    const [p, u] = unit, layer = this.layers[p + 1], form = this.forms[p], told = { unit: layer.labels[u], p, name: layer.name, v: layer.values[u] };
    if (!form) return this.say("folded", told);
    const where = form[1].map(([f, start], n) => (f === "1" ? (n ? " + " : "") : f === "-1" ? " − " : (n ? " + " : "") + f + "·") + `u${form[0] < 0 ? "x" : form[0]}[${start + u}]`).join("");
    return this.say(p < 0 ? "source" : "same", { ...told, where });
  }
});
