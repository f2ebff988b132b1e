// One panel of the picture of a layer: planes of cells, or W, which large is an image.

const CELL = 30; // px of a cell with two lines, before it is scaled
const TOUCH = 24; // px of a cell of W with a label: the least that a finger meets
const DOT = 9; // px of a cell without a label
const LETTER = 7; // px of a letter, about
const MANY = 14; // cells in a line, from which on they are dots
const GAP = 8; // px between the planes of channels
const HEAD = 18; // px above W for the names of its columns
const STUB = 36; // px beside W for the names of its rows
const IMAGE = 300; // px of a matrix that is drawn as an image, at least

/** @param {string[]} texts */
function longest(texts) {
  return texts.reduce((most, text) => Math.max(most, text.length), 0);
}

/** Strokes across the upper left corner, for weights whose colour another one has already. */
function strokes(x, y, n) {
  const d = range(n).map((i) => `M${x} ${y + 4 * i + 4}L${x + 4 * i + 4} ${y}`);
  return svg("path", { d: d.join(""), class: "strokes" });
}

class Panel {
  /** @type {any} */
  picture;
  kind = "";
  title = "";
  /** @type {number[]} of the array: (out, in) channels and a plane */
  shape = [];
  /** Pixels of a cell. */
  w = 0;
  h = 0;
  /** Rows and cells of a plane, and planes side by side. */
  lines = 0;
  cells = 0;
  across = 1;
  /** Room above the cells and beside them. */
  top = 0;
  left = 0;
  /** @type {number[]} where each column and each row of cells begins */
  xs = [];
  /** @type {number[]} */
  ys = [];
  width = 0;
  height = 0;
  size = 0;

  /**
   * @param {any} picture gives `cell(kind, key)`: lines, fill, and what else a cell shows
   * @param {string} kind x, k, y or W
   * @param {{title: string, sizes: number[], shape: number[], w: number, h: number}} told
   */
  constructor(picture, kind, { title, sizes, shape, w, h }) {
    [this.picture, this.kind, this.title] = [picture, kind, title];
    [this.shape, this.w, this.h] = [shape, w, h];
    this.matrix = kind === "W";
    this.image = w === 1;
    this.big = w > DOT;
    this.cursor = [0, 0];
    this.nodes = new Map();
    this.lit = new Set();
    this.measure();
    const long = sizes.join(" × ");
    this.need = Math.max(this.size + this.left, 6.6 * `${title}${long}`.length);
    this.bare = Math.max(this.size + this.left, 6.6 * title.length); // without the sizes
    this.draw();
    this.node = html(
      "div",
      { class: `panel ${kind}` },
      html("div", { class: "title" }, title, html("small", {}, ` ${long}`), ...this.zooms()),
      this.box,
    );
  }

  /** Buttons that make an image larger or smaller, in steps of two. */
  zooms() {
    if (!this.image) return [];
    let zoom = 1;
    const by = (factor) => () => {
      const { box, node } = this;
      const [x, y] = [box.scrollLeft + box.clientWidth / 2, box.scrollTop + box.clientHeight / 2];
      const before = zoom;
      zoom = Math.min(16, Math.max(1, zoom * factor));
      node.style.setProperty("--zoom", zoom);
      node.classList.toggle("zoomed", zoom > 1);
      box.scrollLeft = (x * zoom) / before - box.clientWidth / 2;
      box.scrollTop = (y * zoom) / before - box.clientHeight / 2;
    };
    return [" ", button("−", "Zoom out", by(0.5)), " ", button("+", "Zoom in", by(2))];
  }

  /** Find where the cells of each plane are; kernels stand side by side as well. */
  measure() {
    const { shape, w, h } = this;
    const [lines, cells] = shape.slice(-2);
    this.across = shape.length > 3 ? shape[1] : 1;
    [this.lines, this.cells] = [lines, cells];
    this.top = this.matrix && this.big ? HEAD : 0;
    this.left = this.matrix && this.big ? STUB : 0; // beside the sheet
    const gap = this.matrix ? 0 : GAP;
    const along = (planes, n, size, start) =>
      range(planes * n).map((i) => start + i * size + Math.floor(i / n) * gap);
    this.xs = along(this.across, cells, w, 0);
    this.ys = along(shape[0], lines, h, this.top);
    this.width = this.xs[this.xs.length - 1] + w;
    this.height = this.ys[this.ys.length - 1] + h;
    this.size = Math.max(this.image ? IMAGE : 0, this.width + 4);
  }

  keyOf(i, j) {
    const plane = Math.floor(i / this.lines) * this.across + Math.floor(j / this.cells);
    return (plane * this.lines + (i % this.lines)) * this.cells + (j % this.cells);
  }

  /** Return the row and the column of a cell in the panel. */
  spotOf(key) {
    const plane = Math.floor(key / (this.lines * this.cells));
    const within = key % (this.lines * this.cells);
    return [
      Math.floor(plane / this.across) * this.lines + Math.floor(within / this.cells),
      (plane % this.across) * this.cells + (within % this.cells),
    ];
  }

  get count() {
    return this.xs.length * this.ys.length;
  }

  draw() {
    const view = `-2 -2 ${this.width + 4} ${this.height + 4}`;
    const name = this.big ? "" : "small";
    this.sheet = svg("svg", { viewBox: view, class: name, "aria-hidden": true });
    this.sheet.style.width = `calc(var(--s)*var(--zoom, 1)*${this.size}px)`;
    if (this.matrix) this.sheet.append(this.area("ground"));
    this.marks = svg("g");
    this.sheet.append(this.marks);
    if (!this.image) this.ys.forEach((_, i) => this.xs.forEach((_x, j) => this.drawCell(i, j)));
    this.over = this.sheet.appendChild(svg("g"));
    if (this.matrix) this.drawAround();
    this.band = this.sheet.appendChild(svg("rect", { class: "band", visibility: "hidden" }));
    const around = html("div", { class: "sheet" }, this.sheet);
    if (this.image) around.prepend(this.drawImage());
    this.box = html(
      "div",
      {
        class: "box",
        tabindex: 0,
        role: "application",
        "aria-label": this.title,
        "data-panel": this.kind,
      },
      ...(this.stub ? [this.stub] : []),
      around,
    );
    this.picture.listen(
      this.box,
      this.kind,
      (event) => this.keyAt(event),
      (i, j) => this.move(i, j),
    );
  }

  area(name) {
    const { width, height, top } = this;
    return svg("rect", { x: 0, y: top, width, height: height - top, class: name });
  }

  drawCell(i, j) {
    const key = this.keyOf(i, j);
    const cell = this.picture.cell(this.kind, key);
    if (!cell) return;
    const [x, y, { w, h }] = [this.xs[j], this.ys[i], this];
    const face = svg("rect", { x, y, width: w, height: h });
    const node = svg("g", { class: `cell ${cell.kind || ""}`, "data-at": key }, face);
    // A second weight in the same entry takes half of the cell.
    if (cell.half) {
      const half = svg("path", { d: `M${x + w} ${y}v${h}h${-w}z` });
      half.style.fill = cell.half;
      node.append(half);
    }
    if (cell.strokes && this.big) node.append(strokes(x, y, Math.min(5, cell.strokes)));
    const texts = [];
    if (this.big) {
      cell.lines.forEach((_, n) => {
        const matrixLine = cell.half ? 12 + n * 13 : h / 2 + 4;
        const line = svg("text", { x: x + w / 2, y: y + (this.matrix ? matrixLine : 12 + n * 14) });
        texts.push(node.appendChild(line));
      });
    }
    this.nodes.set(key, { node, face, texts, fill: "" });
    this.marks.append(node);
    this.fill(key, cell);
  }

  /** Put the numbers and the colour of a cell into it. */
  fill(key, cell) {
    const drawn = this.nodes.get(key);
    drawn.texts.forEach((text, n) => setText(text, cell.lines[n] ?? ""));
    const grey = this.big || cell.level === undefined ? "" : `hsl(0 0% ${46 + cell.level * 5}%)`;
    const fill = cell.fill || grey;
    if (fill !== drawn.fill) drawn.face.style.fill = drawn.fill = fill;
    const marks = { broken: Boolean(cell.broken), kept: cell.follows === true };
    marks.lost = cell.follows === false;
    for (const name of Object.keys(marks)) {
      if (marks[name] === Boolean(drawn[name])) continue;
      drawn[name] = marks[name];
      drawn.node.classList.toggle(name, marks[name]);
    }
  }

  /** Draw what has changed. */
  update() {
    if (this.image) return this.paint();
    for (const key of this.nodes.keys()) this.fill(key, this.picture.cell(this.kind, key));
    return undefined;
  }

  /** A matrix of many entries is an image of one pixel for each; what is lit lies over it. */
  drawImage() {
    this.canvas = html("canvas", { width: this.shape[2], height: this.shape[1] });
    this.canvas.setAttribute("aria-hidden", "true");
    this.paint();
    return this.canvas;
  }

  paint() {
    const [, rows, columns] = this.shape;
    const picture = this.canvas.getContext("2d");
    const pixels = picture.createImageData(columns, rows);
    const whole = new Uint32Array(pixels.data.buffer);
    whole.fill(pixel("#1b1b1b"));
    this.picture.paintEntries((at, colour) => {
      whole[at] = colour;
    });
    picture.putImageData(pixels, 0, 0);
  }

  /** Names of rows and columns; lines between lines of the image, and between channels. */
  drawAround() {
    const { xs, ys, w, h, top, width, height } = this;
    const { rowNames, columnNames, rowBlocks, columnBlocks } = this.picture.around();
    if (this.big) {
      columnNames.forEach((text, j) =>
        this.sheet.append(svg("text", { x: xs[j] + w / 2, y: top - 5, class: "head" }, text)),
      );
      const view = `0 -2 ${STUB} ${height + 4}`;
      this.stub = svg("svg", { viewBox: view, class: "stub", "aria-hidden": true });
      this.stub.style.width = `calc(var(--s)*${STUB}px)`;
      rowNames.forEach((text, i) =>
        this.stub.append(
          svg("text", { x: STUB - 4, y: ys[i] + h / 2 + 4, class: "head end" }, text),
        ),
      );
    }
    [0, 1].forEach((n) => {
      const d = [];
      for (let j = columnBlocks[n]; j < xs.length; j += columnBlocks[n]) {
        d.push(`M${xs[j]} ${top}V${height}`);
      }
      for (let i = rowBlocks[n]; i < ys.length; i += rowBlocks[n]) d.push(`M0 ${ys[i]}H${width}`);
      this.sheet.append(svg("path", { d: d.join(""), class: `block b${n + 1}` }));
    });
  }

  /** Return the cell that a pointer is at. */
  keyAt(event) {
    const area = this.sheet.getBoundingClientRect();
    const scale = (this.width + 4) / area.width;
    const last = (list, value) => {
      const after = list.findIndex((start) => start > value);
      return Math.max(0, (after < 0 ? list.length : after) - 1);
    };
    const x = (event.clientX - area.left) * scale - 2;
    const y = (event.clientY - area.top) * scale - 2;
    return this.keyOf(last(this.ys, y), last(this.xs, x));
  }

  /** Move the place of the keys, and return the cell there. */
  move(i, j) {
    const [row, column] = this.cursor;
    const within = (value, n) => Math.min(n - 1, Math.max(0, value));
    this.cursor = [within(row + i, this.ys.length), within(column + j, this.xs.length)];
    return this.keyOf(...this.cursor);
  }

  /**
   * Mark cells: what is lit, with the colour of its weight, and what is pointed at.
   *
   * @param {Map<number, number>} on the weight that lights each cell up
   * @param {Set<number>} marked
   * @param {boolean} tinted whether lit cells take the colour of their weight
   */
  mark(on, marked, tinted) {
    if (this.image) return this.markOver(on, new Set(), false);
    if (!this.big) return this.markOver(on, marked, tinted);
    const now = new Set([...on.keys(), ...marked]);
    for (const key of new Set([...this.lit, ...now])) {
      const found = this.nodes.get(key);
      if (!found) continue;
      const { classList, style } = found.node;
      classList.toggle("on", on.has(key));
      classList.toggle("marked", marked.has(key));
      classList.toggle("tint", tinted && on.has(key));
      if (tinted && on.has(key)) style.setProperty("--tint", this.picture.colour(on.get(key)));
    }
    this.lit = now;
    return undefined;
  }

  /**
   * Lay what is lit over cells that are too small for a label, one shape for each weight: to style
   * each of some thousand cells anew would take longer than a movement of the pointer.
   */
  markOver(on, marked, tinted) {
    const places = new Map();
    for (const key of new Set([...on.keys(), ...marked])) {
      const weight = marked.has(key) ? -1 : on.get(key);
      if (places.has(weight)) places.get(weight).push(key);
      else places.set(weight, [key]);
    }
    this.over.replaceChildren(...[...places].map((one) => this.outline(...one, on, tinted)));
  }

  outline(weight, keys, on, tinted) {
    const { xs, ys, w, h } = this;
    const squares = keys.map((key) => {
      const [i, j] = this.spotOf(key);
      return `M${xs[j]} ${ys[i]}h${w}v${h}h${-w}z`;
    });
    const lit = on.has(keys[0]) ? " on" : "";
    const look = weight < 0 && !this.image ? " marked" : tinted ? " tint" : "";
    const told = { class: `cell${lit}${look}`, "data-at": keys.join(" "), d: squares.join("") };
    const shape = svg("path", told);
    shape.style.fill = this.picture.colour(weight);
    return shape;
  }

  /** Frame a row, a column or one entry of W: what is null is framed whole. */
  frame(row, column, visible) {
    const { xs, ys, w, h, top, width, height } = this;
    put(this.band, {
      x: column === null ? 0 : (xs[column] ?? 0),
      width: column === null ? width : w,
      y: row === null ? top : (ys[row] ?? top),
      height: row === null ? height - top : h,
      visibility: visible ? "visible" : "hidden",
    });
  }

  /** Scroll to the first lit cell if the panel is wider or higher than its box. */
  reveal(row, column) {
    const { box, xs, ys, w, h, left, width, height } = this;
    if (box.scrollWidth > box.clientWidth) {
      box.scrollLeft = ((xs[column] - 3 * w) * box.scrollWidth) / (width + left);
    }
    if (box.scrollHeight > box.clientHeight) {
      box.scrollTop = ((ys[row] - 3 * h) * box.scrollHeight) / height;
    }
  }
}
