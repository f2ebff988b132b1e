// Five steps that carry the argument; at each the reader may point and change as always.

const STEPS = 5;

class Guide {
  constructor(picture) {
    this.picture = picture;
    this.text = html("p", { "aria-live": "polite" });
    this.count = html("span", {});
    this.back = button("◀", "Back", () => this.go(picture.guideStep - 1));
    this.on = button("▶", "Next", () => this.go(picture.guideStep + 1));
    const close = button("✕", "Close the guide", () => this.go(0));
    this.node = html("div", { class: "guide", role: "group", "aria-label": "Guide", hidden: "" });
    this.node.append(this.back, this.count, this.on, this.text, close);
    this.open = button("Guide", "Guide: five steps", () => this.go(picture.guideStep ? 0 : 1));
  }

  /** Go to a step: the picture as it was opened, with what the step shows; 0 closes the guide. */
  go(step) {
    const { picture } = this;
    picture.play(false);
    picture.touched = true;
    picture.guideStep = Math.min(STEPS, Math.max(0, step));
    this.update();
    if (!picture.guideStep) return;
    picture.reset();
    this[`step${picture.guideStep}`]();
    picture.pin(true);
  }

  update() {
    const { guideStep, words } = this.picture;
    this.node.hidden = !guideStep;
    put(this.open, { "aria-pressed": guideStep > 0 });
    if (!guideStep) return;
    setText(this.text, words[`guide${guideStep}`]);
    setText(this.count, `${guideStep}/${STEPS}`);
    this.back.disabled = guideStep === 1;
    this.on.disabled = guideStep === STEPS;
  }

  step1() {
    this.picture.select("y", startOf(this.picture.layout));
  }

  step2() {
    this.picture.select("k", this.picture.state.k.length >> 1);
  }

  step3() {
    const { layout } = this.picture;
    const row = startOf(layout) * layout.columns;
    const empty = range(layout.columns).find((column) => !layout.entries.has(row + column));
    if (empty === undefined) this.picture.select("y", startOf(layout));
    else this.picture.select("W", row + empty);
  }

  step4() {
    const { picture } = this;
    picture.setTie("local");
    const row = startOf(picture.layout) * picture.layout.columns;
    const at = range(picture.layout.columns).find((c) => picture.layout.entries.has(row + c));
    picture.chosen = ["W", row + at];
    picture.change("W", row + at, picture.valueOf("W", row + at) + 3);
  }

  step5() {
    this.step4();
    this.picture.shiftInput();
  }
}
