// A number changed in place: a field over its cell. And an input drawn with the pointer.

const INK = 9; // what a drawn cell becomes

class Editor {
  constructor(picture) {
    this.picture = picture;
    this.current = null; // what is being changed: kind, cell, the value before
    this.drawing = false; // whether the pointer draws
    this.field = html("input", { class: "field", type: "text", inputmode: "decimal" });
    put(this.field, { autocomplete: "off", spellcheck: "false" });
    this.field.onkeydown = (event) => this.keyed(event);
    this.field.oninput = () => this.typed();
    this.field.onfocusout = () => {
      if (!this.busy) this.commit();
    };
    for (const type of ["click", "pointermove", "pointerdown"]) {
      this.field.addEventListener(type, (event) => event.stopPropagation());
    }
  }

  /** Open the field over a cell; what was typed already replaces the number. */
  open(kind, at, typed) {
    const { picture, field } = this;
    const value = picture.valueOf(kind, at);
    this.current = { kind, at, value };
    field.value = typed ?? shortest(value);
    put(field, {
      "aria-label": `${picture.nameOf(kind, at)}: arrow keys step, Enter keeps, Esc undoes`,
    });
    field.removeAttribute("aria-invalid");
    this.place();
    if (typed === undefined) field.select();
    else this.typed();
  }

  /** Put the field over its cell, and the caret into the field. */
  place() {
    const { kind, at } = this.current;
    const panel = this.picture.panels[kind];
    const [i, j] = panel.spotOf(at);
    const scale = panel.sheet.getBoundingClientRect().width / (panel.width + 4);
    const { style } = this.field;
    const width = Math.max(44, panel.w * scale);
    style.width = `${width}px`;
    style.height = `${Math.max(TOUCH, panel.h * scale)}px`;
    const right = panel.sheet.getBoundingClientRect().width - width;
    style.left = `${Math.max(0, Math.min(right, (panel.xs[j] + 2) * scale))}px`;
    style.top = `${(panel.ys[i] + 2) * scale}px`;
    this.busy = true;
    panel.sheet.parentNode.append(this.field);
    this.field.focus({ preventScroll: true });
    this.busy = false;
  }

  /** After the panels were drawn anew the field goes on, over its cell. */
  reopen(current) {
    if (!current) return;
    const { selectionStart, selectionEnd } = this.field;
    this.current = current;
    this.place();
    this.field.setSelectionRange(selectionStart, selectionEnd);
  }

  close() {
    const { current } = this;
    this.current = null;
    this.busy = true;
    this.field.remove();
    this.busy = false;
    return current;
  }

  typed() {
    const value = parsed(this.field.value);
    if (value === null) put(this.field, { "aria-invalid": true });
    else this.set(value);
  }

  set(value) {
    this.field.removeAttribute("aria-invalid");
    const { kind, at } = this.current;
    if (this.picture.valueOf(kind, at) !== value) this.picture.change(kind, at, value);
  }

  /** Close the field; what is no number is told, and the number stays as it was last. */
  commit() {
    const current = this.close();
    if (!current || parsed(this.field.value) !== null) return;
    const { picture } = this;
    const name = picture.nameOf(current.kind, current.at);
    const v = written(picture.valueOf(current.kind, current.at));
    picture.announce(picture.say("noNumber", { text: this.field.value, name, v }));
  }

  keyed(event) {
    const { kind, value } = this.current;
    if (event.key === "Enter") {
      this.commit();
      this.picture.panels[kind].box.focus({ preventScroll: true });
    } else if (event.key === "Escape") {
      this.set(value);
      this.close();
      this.picture.panels[kind].box.focus({ preventScroll: true });
    } else if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      const by = (event.key === "ArrowUp" ? 1 : -1) * (event.shiftKey ? 0.1 : 1);
      const stepped = Number(((parsed(this.field.value) ?? value) + by).toPrecision(12));
      this.field.value = shortest(stepped);
      this.set(stepped);
      this.field.select();
    } else {
      return;
    }
    event.preventDefault();
  }

  // Drawing an input.

  draws(kind) {
    return this.drawing && kind === "x";
  }

  /** Let the pointer draw in a box while it is pressed; what has ink already is erased. */
  attach(box, found) {
    let ink = null;
    const paint = (event) => {
      const at = found(event);
      if (this.picture.refusal("x", at) || this.picture.valueOf("x", at) === ink) return;
      this.picture.chosen = ["x", at];
      this.picture.change("x", at, ink);
    };
    box.addEventListener("pointerdown", (event) => {
      if (!this.draws("x")) return;
      const at = found(event);
      if (this.picture.refusal("x", at)) return;
      ink = this.picture.valueOf("x", at) === INK ? 0 : INK;
      box.setPointerCapture(event.pointerId);
      paint(event);
    });
    box.addEventListener("pointermove", (event) => {
      if (ink !== null) paint(event);
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      box.addEventListener(end, () => {
        ink = null;
      });
    }
  }
}
