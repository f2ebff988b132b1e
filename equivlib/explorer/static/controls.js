// The controls around the picture of a layer: what they are called, and what they ask of it.

const SHORT = 300; // numbers that are written into the code at once
const TIES = ["convolution", "local", "full"];

class Controls {
  constructor(picture) {
    this.picture = picture;
    this.guide = new Guide(picture);
    this.makeTies();
    this.makeSettings();
    const { bar, answer, more } = picture;
    if (picture.allows("guide")) bar.append(this.guide.open);
    if (picture.allows("free")) bar.append(this.shift);
    bar.append(this.reset);
    answer.prepend(this.guide.node);
    // Below the matrix, so that neither a long answer nor the open settings move anything.
    answer.before(this.ties);
    answer.after(this.verdict, more);
    picture.summary.onclick = () => requestAnimationFrame(() => this.showPicture());
  }

  /** Bring the picture to the top when settings are opened that do not fit below it. */
  showPicture() {
    const { board, more } = this.picture;
    const [{ top }, { bottom }] = [board, more].map((one) => one.getBoundingClientRect());
    if (more.open && (top < 0 || bottom > innerHeight)) board.scrollIntoView();
  }

  /** The contrast: which entries of W are one number, and how many numbers that leaves. */
  makeTies() {
    const { picture } = this;
    /** @type {Record<string, any>} */
    this.tie = {};
    for (const tie of TIES) {
      // On a phone the rest of the name leaves its room to the others.
      const [first, ...rest] = picture.words[tie].split(" ");
      this.tie[tie] = button(first, "", () => picture.setTie(tie));
      const hidden = html("span", { class: "rest" }, ...rest.map((word) => ` ${word}`));
      this.tie[tie].append(hidden, html("span"));
    }
    this.shift = button("Shift x →", "Shift x → by one", () => picture.shiftInput());
    this.ties = html("div", { class: "ties", role: "group", "aria-label": "Free numbers" });
    if (picture.allows("free")) this.ties.append(...Object.values(this.tie));
    this.verdict = html("p", { class: "verdict", "aria-live": "polite" });
    this.reset = button("Reset", "Reset: everything as at first", () => picture.restart());
  }

  makeSettings() {
    const { picture } = this;
    const { more, data } = picture;
    this.choices = data.settings.map(({ title }, i) =>
      button(title, title, () => picture.choose(i)),
    );
    this.turn = button("Wᵀ by columns", "Read W by columns", () => this.toggle("byColumns"));
    this.digits = button("Numbers", "Numbers in W", () => this.toggle("numbers"));
    more.append(
      group("Setting", ...(this.choices.length > 1 ? this.choices : [])),
      group("Matrix", this.turn, this.digits),
    );
    if (picture.allows("edit")) more.append(...this.presets());
    if (picture.allows("options")) more.append(this.options());
    if (picture.allows("gradient")) more.append(this.gradient());
    if (picture.allows("own")) more.append(this.own());
    more.append(this.code(), picture.link(), html("p", { class: "keys" }, picture.words.keys));
  }

  toggle(name) {
    const { picture } = this;
    picture[name] = !picture[name];
    if (name === "byColumns") picture.chosen = null;
    picture.draw();
  }

  presets() {
    const { picture } = this;
    const named = (names, action) => names.map((name) => button(name, "", () => action(name)));
    this.draw = button("Draw", "Draw the input with the pointer", () => {
      picture.editor.drawing = !picture.editor.drawing;
      picture.pin(false);
      this.update();
    });
    return [
      html(
        "span",
        { role: "group", "aria-label": "Kernel" },
        "Kernel: ",
        ...named(Object.keys(KERNELS), (name) => picture.takeKernel(name)),
      ),
      html(
        "span",
        { role: "group", "aria-label": "Input" },
        "Input: ",
        ...named(Object.keys(INPUTS), (name) => picture.takeInput(name)),
        this.draw,
      ),
    ];
  }

  /** A field for each size and option; what is impossible is refused in words. */
  options() {
    this.fields = [];
    const single = (name, read) => html("label", {}, `${name} `, this.number(name, read, 1), " ");
    const channels = html(
      "p",
      {},
      single("input channels", (one) => [one.input, 0]),
      single("output channels", (one) => [one.weight, 0]),
      single("groups", (one) => [one, "groups"]),
    );
    const title = html("summary", {}, "Options");
    this.ofAll = this.fields; // fields that do not belong to one axis
    this.table = html("table");
    return html("details", {}, title, this.table, channels, this.padding());
  }

  /** Fill the table of what each spatial axis has; a matrix of one's own can have other axes. */
  sizes() {
    const axes = this.picture.layer.stride.length;
    const names = axes > 1 ? ["rows", "columns"] : [""];
    if (this.axes === axes) return;
    this.axes = axes;
    this.fields = [...this.ofAll];
    const head = names.map((name) => html("th", { scope: "col" }, name));
    const row = (name, read, least = 1) => {
      const cells = names.map((along, axis) => {
        const field = this.number(`${name} ${along}`.trim(), (one) => read(one, axis), least);
        return html("td", {}, field);
      });
      return html("tr", {}, html("th", { scope: "row" }, name), ...cells);
    };
    this.table.replaceChildren(
      ...(axes > 1 ? [html("tr", {}, html("td"), ...head)] : []),
      row("size", (one, axis) => [one.input, axis + 1]),
      row("kernel", (one, axis) => [one.weight, axis + 2]),
      row("stride", (one, axis) => [one.stride, axis]),
      row("padding before", (one, axis) => [one.padding[axis], 0], 0),
      row("padding after", (one, axis) => [one.padding[axis], 1], 0),
      row("dilation", (one, axis) => [one.dilation, axis]),
    );
  }

  /** What the padding shows, and whether the kernel is flipped. */
  padding() {
    const modes = MODES.map((mode) => html("option", {}, mode));
    this.mode = html("select", { "aria-label": "padding shows" }, ...modes);
    this.mode.onchange = () => this.ask((one) => Object.assign(one, { mode: this.mode.value }));
    this.flip = html("input", { type: "checkbox", "aria-label": "flip the kernel" });
    this.flip.onchange = () => this.ask((one) => Object.assign(one, { flip: this.flip.checked }));
    const shows = html("label", {}, "padding shows ", this.mode, " ");
    return html("p", {}, shows, html("label", {}, this.flip, " flip the kernel"));
  }

  /** A field for one number of the layer: `read` says where it stands. */
  number(name, read, least) {
    const field = html("input", { type: "number", min: least, step: 1, "aria-label": name });
    field.onchange = () =>
      this.ask((one) => {
        const [list, at] = read(one);
        list[at] = field.value === "" ? NaN : Number(field.value);
      });
    this.fields.push({ field, read });
    return field;
  }

  /** Change a copy of the layer and ask for it; the fields show again what holds. */
  ask(change) {
    const { picture } = this;
    const layer = structuredClone(picture.layer);
    change(layer);
    if (layer.input[0] % layer.groups === 0) layer.weight[1] = layer.input[0] / layer.groups;
    picture.takeLayer(layer);
    this.update();
  }

  gradient() {
    const { picture } = this;
    this.aim = button("Target", "Give the outputs a target", () =>
      picture.setTarget(!picture.target),
    );
    this.descend = button("One step", "One step along the gradient", () => picture.descend());
    return html(
      "span",
      { role: "group", "aria-label": "Gradient" },
      "Gradient: ",
      this.aim,
      this.descend,
    );
  }

  own() {
    const { picture } = this;
    const label = { "aria-label": "A matrix, a row in each line" };
    const text = html("textarea", { rows: 5, cols: 40, ...label });
    const sizes = ["input", "output"].map((side) => {
      const told = { type: "text", size: 9, "aria-label": `sizes of the ${side}, channels first` };
      return html("input", told);
    });
    const ask = button("Is it a convolution?", "", () =>
      picture.takeOwn(text.value, ...sizes.map((field) => field.value)),
    );
    const title = html("summary", {}, "A matrix of your own");
    const between = html("p", {}, "from sizes ", sizes[0], " to ", sizes[1], " ", ask);
    const box = html("details", {}, title, html("p", {}, text), between);
    // It begins with the matrix of the picture, of which one entry can be changed.
    box.ontoggle = () => {
      if (!box.open || text.value) return;
      [text.value, sizes[0].value, sizes[1].value] = picture.writtenMatrix();
    };
    return box;
  }

  code() {
    this.lines = html("pre", { tabindex: 0, role: "region", "aria-label": "Code" });
    this.copy = button("Copy", "", () =>
      navigator.clipboard
        ?.writeText(this.lines.textContent)
        .then(() => setText(this.copy, "Copied")),
    );
    const title = html("summary", {}, "Code");
    this.codeBox = html("details", { class: "code" }, title, this.copy, this.lines);
    this.codeBox.ontoggle = () => this.writeCode();
    return this.codeBox;
  }

  /** Write the code; that of a large layer is long, and waits until it is in sight. */
  writeCode() {
    const { edited, layer, state, data, setting } = this.picture;
    if (!this.codeBox.open && state.x.length + (state.W?.length ?? 0) > SHORT) return;
    setText(this.lines, edited ? codeOf(layer, state) : data.settings[setting].code);
    setText(this.copy, "Copy");
  }

  /** Show again what holds: which buttons are pressed, which numbers stand in the fields. */
  update() {
    const { picture } = this;
    const { layer, state, layout, data, setting } = picture;
    const press = (node, on) => put(node, { "aria-pressed": Boolean(on) });
    const counts = freeNumbers(layout);
    for (const tie of TIES) {
      setText(this.tie[tie].lastChild, `: ${counts[tie]}`);
      press(this.tie[tie], state.tie === tie);
    }
    const told = picture.allows("free") ? picture.verdict() : "";
    setText(this.verdict, picture.exact ? picture.words.exact : told);
    const hint = matchMedia("(hover: none)").matches ? "touch" : "hint";
    setText(picture.hint, picture.words[picture.exact ? "pointOnly" : hint]);
    this.guide.update();
    this.choices.forEach((choice, i) => press(choice, i === setting && !this.otherLayer()));
    const title = data.settings[setting].title;
    setText(
      picture.summary,
      this.choices.length > 1 ? `Settings: ${this.otherLayer() ? "your own" : title}` : "Settings",
    );
    press(this.turn, picture.byColumns);
    press(this.digits, picture.numbers);
    if (this.draw) press(this.draw, picture.editor.drawing);
    if (this.aim) press(this.aim, picture.target);
    if (this.descend) this.descend.disabled = !picture.target;
    this.writeCode();
    if (!this.table) return;
    this.sizes();
    for (const { field, read } of this.fields) {
      const [list, at] = read(layer);
      field.value = list[at];
    }
    this.mode.value = layer.mode;
    this.flip.checked = layer.flip;
  }

  otherLayer() {
    const { layer, data, setting } = this.picture;
    return layerText(layer) !== layerText(data.settings[setting].layer);
  }
}
