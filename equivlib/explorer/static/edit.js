// A number changed in place: a field over its cell. And an input drawn with the pointer.

const INK = 9; // what a drawn cell becomes

class Editor {
  /** @type {any} what is being changed: its kind, where it is, its value and the results before; or null */
  current = null;
  /** Whether the pointer draws. */
  drawing = false;

  constructor(picture) {
    this.picture = picture;
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
    // What is typed is told against the results before the first key.
    this.current = { kind, at, value, results: picture.texts?.y };
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
    const { sheet, width: wide, x, y, w, h } = this.picture.areaOf(kind, at);
    const area = sheet.getBoundingClientRect();
    const scale = area.width / (wide + 4);
    const { style } = this.field;
    const width = Math.max(44, w * scale);
    style.width = `${width}px`;
    style.height = `${Math.max(TOUCH, h * scale)}px`;
    style.left = `${Math.max(0, Math.min(area.width - width, (x + 2) * scale))}px`;
    style.top = `${(y + 2) * scale}px`;
    this.busy = true;
    sheet.parentNode.append(this.field);
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
    const { kind, at, value } = this.current;
    const back = () => this.picture.areaOf(kind, at).box.focus({ preventScroll: true });
    if (event.key === "Enter") {
      this.commit();
      back();
    } else if (event.key === "Escape") {
      this.set(value);
      this.close();
      back();
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
    /** @type {number | null} */
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

/** A picture some of whose numbers can be changed: which ones, `refusal` says. */
class Changing extends Linked {
  /** @type {Editor} */
  editor;

  /** @param {string} _kind @param {any} _at why it cannot be changed, or "" @returns {string} */
  refusal(_kind, _at) {
    return "";
  }

  /** What leads back to this state, for an address. @returns {Record<string, any>} */
  asked() {
    return {};
  }

  /** @param {string} _kind @param {any} _at */
  isResult(_kind, _at) {
    return false;
  }

  /** A click pins and opens the field; a finger points first, and its second tap changes. */
  clicked(kind, at, touch) {
    const again = this.pinned && this.isChosen(kind, at);
    const editable = !this.refusal(kind, at);
    if (!(editable && again)) this.fix(kind, at);
    if (editable && this.pinned && (again || !touch)) this.editor.open(kind, at);
  }

  pressed(kind, at, key) {
    if (key === " ") {
      this.fix(kind, at);
      return true;
    }
    const starts = /^[-+\d.]$/.test(key);
    if (key !== "Enter" && !starts) return false;
    const refused = this.refusal(kind, at);
    if (refused && key === "Enter" && this.isResult(kind, at)) {
      this.fix(kind, at);
    } else if (refused) {
      this.announce(refused);
    } else {
      this.pin(false);
      this.point(kind, at);
      this.pin(true);
      this.editor.open(kind, at, starts ? key : undefined);
    }
    return true;
  }

  /** A link to this state: into the address bar, and to the clipboard where that is allowed. */
  link() {
    return button("Link to this state", "", () => {
      const address = new URL(location.href);
      address.search = queryOf(placeOnPage(this), this.asked());
      try {
        history.replaceState(history.state, "", address);
      } catch {
        return; // a page inside another one has no address of its own
      }
      navigator.clipboard?.writeText(address.href).catch(() => undefined);
      this.announce(this.words.linkCopied);
    });
  }

  /** Say a change, and then again what is chosen. */
  announce(sentence) {
    const [kind, at] = this.chosen;
    this.select(kind, at);
    setText(this.status, `${sentence} ${this.status.textContent}`.replace(/\s+/g, " "));
  }
}
