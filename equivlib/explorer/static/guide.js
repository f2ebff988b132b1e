// Six steps that carry the argument, each a sentence above the answer. The reader may point and change
// at each as always: what a step marks is only where the reader begins. Once something is changed, the
// sentence of the step gives way to one that says so, because it need not be true any more.

const STEPS = 6;
const FREED = 3; // what the guide adds to the entry that it frees

class Guide {
  /** @type {any} what the step has made of the picture, to see whether that was changed */
  shown = null;

  constructor(picture) {
    this.picture = picture;
    this.text = html("span", { "aria-live": "polite" });
    this.count = html("small", {});
    this.back = button("◀", "Back", () => this.go(picture.guideStep - (this.left ? 0 : 1)));
    this.on = button("▶", "Next", () => this.go(picture.guideStep + 1));
    this.node = html("div", { class: "guide", role: "group", "aria-label": "Guide", hidden: "" });
    // The longest sentence keeps its room, so that nothing moves from step to step.
    const sentences = range(STEPS).map((n) => picture.words[`guide${n + 1}`]);
    sentences.push(picture.say("guideLeft", { n: STEPS, steps: STEPS }));
    const room = sentences.reduce((most, one) => (one.length > most.length ? one : most));
    const sentence = html("p", { "data-room": room }, this.text);
    this.node.append(this.back, this.count, this.on, sentence);
    this.open = button("Guide", "Guide: six steps", () => this.go(picture.guideStep ? 0 : 1));
  }

  /** Go to a step: the picture as it was opened, with what the step shows; 0 closes the guide. */
  go(step) {
    const { picture } = this;
    picture.play(false);
    picture.touched = true;
    picture.guideStep = Math.min(STEPS, Math.max(0, step));
    this.shown = null;
    this.update();
    if (!picture.guideStep) return;
    picture.pin(false);
    picture.reset();
    this[`step${picture.guideStep}`]();
    this.shown = this.seen();
    this.update();
  }

  /** What the sentences speak of; what is pointed at does not belong to it. */
  seen() {
    const { state, layer, given, target, byColumns } = this.picture;
    return { ...state, layer: layerText(layer), given, aimed: Boolean(target), byColumns };
  }

  /** Whether the picture is no longer as its step has made it. */
  get left() {
    if (!this.shown) return false;
    const now = this.seen();
    return Object.keys(now).some((name) => !isSame(now[name], this.shown[name]));
  }

  update() {
    const { picture, left } = this;
    const { guideStep, words } = picture;
    this.node.hidden = !guideStep;
    put(this.open, { "aria-pressed": guideStep > 0 });
    if (!guideStep) return;
    const told = picture.say(guideStep < STEPS ? "guideLeft" : "guideLeftLast", {
      n: guideStep,
      steps: STEPS,
    });
    setText(this.text, left ? told : words[`guide${guideStep}`]);
    setText(this.count, `${guideStep}/${STEPS}`);
    this.node.classList.toggle("left", left);
    const label = left ? `Return to step ${guideStep}` : "Back";
    put(this.back, { title: label, "aria-label": label });
    this.back.disabled = guideStep === 1 && !left;
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
    this.step1();
    this.picture.shiftInput();
  }

  step5() {
    const { picture } = this;
    const at = breaking(picture.layout, picture.state);
    picture.setTie("local");
    picture.chosen = ["W", at];
    picture.change("W", at, picture.valueOf("W", at) + FREED);
  }

  step6() {
    this.step5();
    this.picture.shiftInput();
  }
}

/** Whether two values are one: numbers, texts, or lists of numbers. */
function isSame(one, other) {
  if (one === other) return true;
  return one?.length === other?.length && Boolean(one?.every?.((value, n) => value === other[n]));
}

/**
 * Return an entry of W that the guide can free: one after whose change not all outputs shift along,
 * in the row that the picture begins with if it has one.
 *
 * @param {Layout} layout
 * @param {State} state
 */
function breaking(layout, state) {
  const first = startOf(layout);
  const rowOf = (at) => Math.floor(at / layout.columns);
  const entries = [...layout.entries.keys()].sort(
    (a, b) => Math.abs(rowOf(a) - first) - Math.abs(rowOf(b) - first) || a - b,
  );
  const x = shifted(layout, state.x, layout.axes[1].stride);
  const found = entries.find((at) => {
    const W = Float64Array.from(matrixOf(layout, state));
    W[at] += FREED;
    const freed = { ...state, W };
    return follows(layout, outputOf(layout, freed), outputOf(layout, freed, x)).includes(false);
  });
  return found ?? entries[0];
}
