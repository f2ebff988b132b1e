// What can be changed in the picture of one layer, and what is said about each change.

class LayerPicture extends LayerView {
  setting = 0;
  guideStep = 0;
  /** Whether anything is not as the page has told it. */
  edited = false;
  /** @type {any} what reset comes back to */
  opened;

  build() {
    this.editor = new Editor(this);
    this.controls = new Controls(this);
    this.load(0);
    this.restore({ ...this.data.start, guide: 0, at: "" });
    this.opened = this.snapshot();
    this.begin();
    this.restore(stateInAddress(placeOnPage(this)));
  }

  // Where a state comes from.

  /** Show what the page begins with: a step of the guide, a cell that is marked. */
  begin() {
    const { guide, at } = this.data.start;
    if (guide) this.controls.guide.go(guide);
    if (at) this.chooseByName(at);
  }

  /** Bring the first screen back: all numbers and options, what is marked, and the guide. */
  restart() {
    this.play(false);
    this.pin(false);
    this.editor.drawing = false;
    this.controls.guide.go(0);
    this.chosen = null;
    this.reset();
    this.begin();
    this.announce(this.words.resetDone);
  }

  /** Take a setting of the page because somebody asks for it. */
  choose(number) {
    const freed = this.state.W;
    this.edited = false;
    this.load(number);
    if (freed) this.announce(this.words.retied);
  }

  /** Take a setting of the page: its layer and its weights; an input that was changed stays. */
  load(number) {
    const setting = this.data.settings[number];
    this.setting = number;
    this.layer = structuredClone(setting.layer);
    const exact = setting.results ?? null;
    const zeros = (shape) => new Array(product(shape)).fill(0);
    const { state: before } = this;
    const kept = product(this.layer.input) === before.x.length && !exact;
    const x = kept ? before.x : [...(this.data.x.values ?? zeros(this.layer.input))];
    this.state = tiedState(x, [...(setting.weight.values ?? zeros(this.layer.weight))]);
    const texts = { x: this.data.x.texts, k: setting.weight.texts };
    this.exact = exact && { ...exact, ...JSON.parse(JSON.stringify(texts)) };
    this.given = this.data.y?.values ? [...this.data.y.values] : null;
    this.forget();
    this.layout = layoutOf(this.layer);
    this.draw();
  }

  /** Forget what belongs to another layer: the freed matrix, the target, the shift. */
  forget() {
    this.freed = this.target = this.following = this.previous = null;
  }

  /** What is needed to come back to this state. */
  snapshot() {
    const { setting, layer, state, given, exact, byColumns, numbers } = this;
    return structuredClone({ setting, layer, state, given, exact, byColumns, numbers });
  }

  reset() {
    Object.assign(this, structuredClone(this.opened), { edited: false });
    this.forget();
    this.layout = layoutOf(this.layer);
    this.draw();
  }

  /**
   * Take a state that a page or an address asks for; what cannot be had is left as it is.
   *
   * @param {Record<string, any>} asked
   */
  restore(asked) {
    if (!Object.keys(asked).length) return;
    const { settings } = this.data;
    const setting = settings.findIndex(({ title }) => title === asked.setting);
    if (setting > 0) this.load(setting);
    const layer = asked.layer;
    if (layer && !refusal(layer, this.data.most)) this.takeLayer(layer);
    const right = (values, length) =>
      values?.length === length && values.every((value) => Number.isFinite(value));
    const { layout } = this;
    if (!this.exact) {
      if (right(asked.x, layout.columns)) [this.state.x, this.edited] = [asked.x, true];
      if (right(asked.k, product(layout.kernel))) [this.state.k, this.edited] = [asked.k, true];
      if (right(asked.y, layout.rows)) this.given = asked.y;
      if (asked.tie === "local" || asked.tie === "full") this.setTie(asked.tie);
      if (this.state.W && right(asked.W, this.state.W.length)) this.takeMatrix(asked.W);
    }
    this.byColumns ||= asked.columns === true;
    this.numbers ||= asked.numbers === true;
    this.chosen = null;
    this.draw();
    if (asked.guide >= 1 && asked.guide <= STEPS) this.controls.guide.go(asked.guide);
    if (asked.at) this.chooseByName(asked.at);
  }

  /** Return what leads back to this state, for an address. */
  asked() {
    const { state, layer, setting, byColumns, numbers, edited } = this;
    const first = this.data.settings[setting];
    const text = edited && layerText(layer) !== layerText(first.layer);
    const changed = (values) => (edited ? values.map(shortest) : null);
    return {
      setting: setting ? first.title : "",
      layer: text ? layer : null,
      x: changed(state.x),
      k: changed(state.k),
      y: this.given && changed(this.given),
      tie: state.W ? state.tie : "",
      W: state.W && Array.from(state.W, shortest),
      columns: byColumns,
      numbers,
      guide: this.controls.guide.left ? "" : this.guideStep || "",
      at: this.nameOf(...this.chosen),
    };
  }

  /** Select a cell by its name; nothing is pinned, and no walk leads away from it. */
  chooseByName(name) {
    for (const kind of PANELS) {
      for (let key = 0; key < this.panels[kind].count; key++) {
        if (this.nameOf(kind, key) === name && (kind !== "x" || this.layout.inside[key])) {
          this.touched = true;
          return this.select(kind, key);
        }
      }
    }
    return undefined;
  }

  // Pointer and keys.

  listen(box, kind, found, step) {
    super.listen(box, kind, found, step);
    if (kind === "x") this.editor.attach(box, found);
    return box;
  }

  point(kind, at) {
    if (!this.editor.draws(kind)) super.point(kind, at);
  }

  clicked(kind, at, touch) {
    if (!this.editor.draws(kind)) super.clicked(kind, at, touch);
  }

  /** A result is pinned by Enter, where an input or a weight is changed. */
  isResult(kind) {
    return kind === "y" && !this.byColumns && !this.target;
  }

  /** Where a cell is, for the field over it. */
  areaOf(kind, at) {
    const { sheet, box, spotOf, xs, ys, w, h, width } = this.panels[kind];
    const [i, j] = spotOf.call(this.panels[kind], at);
    return { sheet, box, width, x: xs[j], y: ys[i], w, h };
  }

  /** Whether the page has a control: none that changes numbers where all of them are exact. */
  allows(control) {
    const { controls, settings } = this.data;
    if (settings.every(({ results }) => results)) return false;
    return !controls || controls.includes(control);
  }

  /** Return why a number cannot be changed, or nothing if it can. */
  refusal(kind, at) {
    const name = this.nameOf(kind, at);
    if (this.exact) return this.words.exact;
    if (!this.allows("edit")) return this.words.notEditable;
    if (kind === "y") return this.byColumns || this.target ? "" : this.say("noEdit", { name });
    if (kind === "x") {
      const column = this.layout.shows[at];
      if (this.byColumns) return this.say("noEdit", { name: "Wᵀy" });
      if (column < 0) return this.words.paddedZero;
      return this.layout.inside[at] ? "" : this.say("padded", { x: this.labels.x[column] });
    }
    if (kind === "k") return this.state.W ? this.words.freeKernel : "";
    const tried = withEntry(this.layout, this.state, at, 0);
    if (!("refused" in tried)) return "";
    const k = tried.weights.map((weight) => this.labels.k[weight]).join(" + ");
    return this.say(tried.refused, { name, k });
  }

  nameOf(kind, at) {
    if (kind === "x") return this.labels.x[this.layout.shows[at]] ?? "0";
    if (kind !== "W") return this.labels[kind][at];
    return `W[${Math.floor(at / this.layout.columns)}, ${at % this.layout.columns}]`;
  }

  valueOf(kind, at) {
    const { layout, state } = this;
    if (kind === "x") return state.x[layout.shows[at]];
    if (kind === "k") return state.k[at];
    if (kind === "W") return entryOf(layout, state, at);
    return this.target ? this.target[at] : (this.given ?? this.y)[at];
  }

  /** Change one number; everything follows at once, and is said. */
  change(kind, at, value) {
    const before = this.editor.current?.results ?? this.texts.y;
    const twins = this.twinsOf(kind, at);
    this.assign(kind, at, value);
    this.edited = true;
    this.following = null;
    this.redraw();
    const name = this.nameOf(kind, at);
    const told = { name, v: written(value), y: name };
    if (kind === "y" && this.target) return this.announce(this.say("target", told));
    const ys = this.changesSince(before);
    const others = twins.length ? this.say("twins", { ...told, n: listed(twins) }) : "";
    const now = this.say("changed", { ...told, ys });
    return this.announce(others ? `${others}${ys}.` : now);
  }

  assign(kind, at, value) {
    const { layout, state } = this;
    const set = (values, where) => values.map((old, n) => (n === where ? value : old));
    if (kind === "x") {
      state.x = set(state.x, layout.shows[at]);
    } else if (kind === "k") {
      [state.k, this.freed] = [set(state.k, at), null];
    } else if (kind === "y" && this.target) {
      this.target = set(this.target, at);
    } else if (kind === "y") {
      this.given = set(this.given ?? this.y, at);
    } else {
      this.state = /** @type {State} */ (withEntry(layout, state, at, value));
      const changed = new Set([...(this.freed?.changed ?? []), at]);
      this.freed = this.state.W && { W: this.state.W, tie: state.tie, changed };
    }
  }

  /** The other entries of W that change together with one. */
  twinsOf(kind, at) {
    if (kind !== "W" || this.state.W) return [];
    const [weight] = this.layout.entries.get(at) || [];
    return [...this.layout.entries]
      .filter(([entry, weights]) => entry !== at && weights.includes(weight))
      .map(([entry]) => this.nameOf("W", entry));
  }

  changesSince(before) {
    const { y } = this.texts;
    const changed = range(y.length).filter((row) => y[row] !== before[row]);
    if (!changed.length) return this.words.unchanged;
    return listed(changed.map((row) => this.say("changes", { y: this.labels.y[row], v: y[row] })));
  }

  /** Take another layer, if it can be drawn; numbers that it shares with this one stay. */
  takeLayer(layer) {
    const refused = this.exact ? { what: "exact" } : refusal(layer, this.data.most);
    if (refused) {
      this.announce(this.say(refused.what, refused));
      return false;
    }
    const { x, k, W } = this.state;
    this.state = tiedState(
      resized(x, this.layer.input, layer.input, (at) => (at % 9) + 1),
      resized(k, this.layer.weight, layer.weight, (at) => k[at % k.length]),
    );
    this.layer = layer;
    this.given = null;
    this.edited = true;
    this.forget();
    this.layout = layoutOf(layer);
    this.draw();
    const { inputs, kernel, outputs, rows, columns } = this.layout;
    const sizes = (shape) => shape.join(" × ");
    const told = { x: sizes(inputs), k: sizes(kernel), y: sizes(outputs), rows, columns };
    this.announce((W ? this.words.retied : "") + this.say("options", told));
    return true;
  }

  // The matrix, freed.

  /**
   * Tie the entries of W or free them; the convolution takes the nearest kernel.
   *
   * @param {Tie} tie
   */
  setTie(tie) {
    const { state, layout, freed } = this;
    if (this.exact) return this.announce(this.words.exact);
    if (tie === state.tie) return undefined;
    let dropped = 0;
    if (tie === "convolution") {
      const W = Float64Array.from(matrixOf(layout, state));
      this.state = { ...state, k: nearest(layout, W).k, tie, W: null };
      this.freed = { W, changed: freed?.changed ?? new Set(), tie: state.tie };
    } else {
      const W = Float64Array.from(freed && !state.W ? freed.W : matrixOf(layout, state));
      if (tie === "local") {
        W.forEach((value, at) => {
          if (!value || layout.entries.has(at)) return;
          W[at] = 0;
          dropped += 1;
        });
      }
      this.state = { ...state, tie, W };
      this.freed = { W, tie, changed: freed ? freed.changed : new Set() };
    }
    this.following = null;
    this.edited = true;
    this.draw();
    if (!dropped) return undefined;
    return this.announce(this.say("dropped", { n: counted(dropped, "number") }));
  }

  /** Take all entries of W at once, for example those that somebody typed. */
  takeMatrix(values) {
    const W = Float64Array.from(values);
    const { k } = nearest(this.layout, W);
    const fitted = tiedState([], k);
    const far = (value, at) => Math.abs(value - entryOf(this.layout, fitted, at)) > 1e-9;
    const changed = new Set(range(W.length).filter((at) => far(W[at], at)));
    this.state = { ...this.state, W };
    this.freed = { W, tie: this.state.tie, changed };
    this.edited = true;
    this.draw();
  }

  /** What holds of W now: a convolution, free numbers, how far it is from a convolution. */
  verdict() {
    const { state, layout, words } = this;
    const free = freeNumbers(layout)[state.tie];
    if (!state.W) {
      const tie = this.freed?.changed.size ? words[this.freed.tie] : "";
      if (tie) return this.say("taken", { tie });
      return this.say("isConvolution", { n: counted(free, "number") });
    }
    const residual = this.near?.residual ?? 0;
    if (residual > 1e-9) {
      return this.say("isBroken", { mean: this.exampleOfMean(), residual: written(residual) });
    }
    return this.say("isFree", { n: counted(free, "number") });
  }

  /** Where an entry was changed: its weight in the nearest kernel, and the numbers that it averages. */
  exampleOfMean() {
    const { layout, freed, labels, texts } = this;
    const at = [...(freed?.changed ?? [])].find((entry) => layout.entries.has(entry));
    const [weight] = layout.entries.get(at ?? -1) ?? [-1];
    const values = this.averaged(weight);
    return values && this.say("meanOver", { k: labels.k[weight], v: texts.k[weight], values });
  }

  /** Move the input by one stride, and see which outputs move along. */
  shiftInput() {
    if (this.exact) return this.announce(this.words.exact);
    const { layout, state } = this;
    const by = layout.axes[1].stride;
    const before = this.y;
    this.previous = this.texts.y;
    state.x = shifted(layout, state.x, by);
    this.following = follows(layout, before, outputOf(layout, state));
    this.edited = true;
    this.redraw();
    // What is chosen is lit, but not told again: the outputs are what is looked at now.
    setText(this.status, this.tellShift(by, this.following));
    return undefined;
  }

  /** Say which outputs are compared with what, those that did not shift along first. */
  tellShift(by, following) {
    const { labels, texts, previous } = this;
    const left = leftOf(this.layout);
    const rows = range(following.length);
    const compared = rows.filter((row) => following[row] !== null);
    if (!compared.length) return this.say("followsNone", { by });
    const [lost, kept] = [false, true].map((moved) => rows.filter((n) => following[n] === moved));
    const pair = (row) => {
      const [y, z] = [labels.y[row], labels.y[left[row]]];
      const told = { y, v: texts.y[row], z, w: previous?.[left[row]] ?? "" };
      return this.say(following[row] ? "isAs" : "isNotAs", told);
    };
    const alone = rows.filter((row) => left[row] < 0).map((row) => labels.y[row]);
    return this.say(lost.length ? "followsSome" : "followsAll", {
      by,
      n: kept.length,
      all: compared.length,
      pairs: listed([...lost, ...kept].map(pair)),
      rest: alone.length ? this.say("noLeft", { ys: listed(alone) }) : "",
      why: this.words[(this.near?.residual ?? 0) > 1e-9 ? "own" : "border"],
    });
  }

  // Presets, a step along the gradient, a matrix of one's own.

  takeKernel(name) {
    if (this.exact) return this.announce(this.words.exact);
    const freed = this.state.W;
    if (freed) this.setTie("convolution");
    this.freed = null;
    this.state.k = presetValues(KERNELS[name], this.layout.kernel);
    return this.told(name, freed ? this.words.retied : "");
  }

  takeInput(name) {
    if (this.exact) return this.announce(this.words.exact);
    this.state.x = presetValues(INPUTS[name], this.layout.inputs);
    return this.told(name);
  }

  /** Draw all numbers, and say what they are now. */
  told(name, first = "") {
    this.following = null;
    this.edited = true;
    const before = this.texts.y;
    this.redraw();
    const ys = this.changesSince(before);
    return this.announce(first + this.say("preset", { name, ys }));
  }

  /** Give the outputs a target, 0 at first, or take it away. */
  setTarget(on) {
    if (this.exact) return this.announce(this.words.exact);
    this.target = on ? this.y.map(() => 0) : null;
    this.draw();
    if (on) this.select("k", 0);
    return undefined;
  }

  /** Take one step along the gradient of half the squared error. */
  descend() {
    if (this.state.W) return this.announce(this.words.stepTied);
    const target = this.target ?? [];
    const half = () => this.y.reduce((sum, v, row) => sum + (v - target[row]) ** 2, 0) / 2;
    const before = half();
    const { k, rate } = descend(this.layout, this.state, target);
    if (!rate) return this.announce(this.words.noStep);
    [this.state.k, this.freed, this.edited] = [k, null, true];
    this.redraw();
    return this.announce(this.say("step", { a: written(before), b: written(half()) }));
  }

  /**
   * Say whether a typed matrix is a convolution between inputs and outputs of these sizes: which one,
   * or where it fails. Without sizes it is one channel along one axis.
   */
  takeOwn(text, from, to) {
    const rows = parsedMatrix(text);
    if (!rows) return this.announce(this.words.notMatrix);
    const [m, n] = [rows.length, rows[0].length];
    const input = from.trim() ? parsedShape(from) : [1, n];
    const output = to.trim() ? parsedShape(to) : [1, m];
    const right = input && input.length === output?.length;
    if (!right || product(input) !== n || product(output) !== m) {
      return this.announce(this.say("notSizes", { n, m }));
    }
    const { rows: most, entries: filled } = this.data.most;
    if (Math.max(m, n) > most || m * n > filled) {
      const told = { rows: m, columns: n, entries: m * n, most, filled };
      return this.announce(this.say("tooLarge", told));
    }
    return this.takeRecognised(rows.flat(), input, output);
  }

  takeRecognised(W, input, output) {
    const found = recognise(W, input, output);
    const sizes = (shape) => shape.join(" × ");
    if (!found) {
      return this.announce(this.say("notAny", { x: sizes(input), y: sizes(output) }));
    }
    if (!this.takeLayer(found.layer)) return undefined;
    const { stride, padding, dilation, groups } = found.layer;
    if (!("k" in found)) {
      this.setTie("full");
      this.takeMatrix(W);
      return this.showBroken(found, sizes(stride));
    }
    this.state.k = found.k;
    this.redraw();
    const told = {
      k: listed(found.k.map(written), 9),
      stride: sizes(stride),
      padding: padding.map(([low, high]) => `(${low}, ${high})`).join(" and "),
      dilation: sizes(dilation),
      groups,
    };
    return this.announce(this.say("recognised", told));
  }

  /** Write W and the sizes of input and output as somebody types them. */
  writtenMatrix() {
    const { layout, layer, state } = this;
    const W = Array.from(matrixOf(layout, state), shortest);
    const rows = range(layout.rows).map((row) =>
      W.slice(row * layout.columns, (row + 1) * layout.columns).join(" "),
    );
    const output = [layer.weight[0], ...layout.outputs.slice(3 - layer.stride.length)];
    return [rows.join("\n"), layer.input.join(" × "), output.join(" × ")];
  }

  /** Light up an entry that breaks the tie, and its twin. */
  showBroken({ at, twin }, stride) {
    this.select("W", at);
    this.pin(true);
    const k = this.layout.entries.get(at)?.[0] ?? -1;
    this.panels.W.mark(
      new Map([
        [at, k],
        [twin, k],
      ]),
      new Set([at, twin]),
      false,
    );
    const told = { a: this.nameOf("W", at), v: this.entryText(at) };
    const other = { b: this.nameOf("W", twin), w: this.entryText(twin) };
    setText(this.status, this.say("notOne", { stride, ...told, ...other }));
  }
}
