// What both linked pictures do: follow the colours of the page, be pointed at, walk by themselves.

/**
 * @param {string} space
 * @param {string} name
 * @param {Record<string, unknown>} attributes
 * @param {...(Node | string)} children
 */
function make(space, name, attributes, ...children) {
  const node = document.createElementNS(`http://www.w3.org/${space}`, name);
  put(node, attributes);
  node.append(...children);
  return node;
}

/** Set attributes of an element and return it. */
function put(node, attributes) {
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value));
  return node;
}

/** @returns {any} an element of HTML */
function html(name, attributes = {}, ...children) {
  return make("1999/xhtml", name, attributes, ...children);
}

/** @returns {any} an element of SVG */
function svg(name, attributes = {}, ...children) {
  return make("2000/svg", name, attributes, ...children);
}

function button(text, label, action) {
  const named = label ? { title: label, "aria-label": label } : {};
  const node = html("button", { type: "button", ...named }, text);
  node.onclick = action;
  return node;
}

function group(label, ...children) {
  return html("span", { role: "group", "aria-label": label }, ...children);
}

/** Set the text of an element where it differs: a browser lays out again what was touched. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const [STEP, FIRST_WALK] = [1100, 12]; // milliseconds a step, steps of the walk that nobody started
const TERMS = 40; // of a sum that is written out

class Linked extends HTMLElement {
  /** @type {any} what the page tells, see equivlib.explorer.typed */
  data;
  /** Whether somebody has pointed at it. */
  touched = false;
  /** How far the answer is moved, and how high it was at most. */
  moved = 0;
  most = 0;
  /** @type {any} panel and cell, or null */
  chosen = null;
  pinned = false;
  /** @type {ReturnType<typeof setInterval> | 0} */
  timer = 0;
  /** Steps that the walk still takes. */
  left = 0;

  // What each picture does in its own way.

  /** @returns {Record<string, string>} */
  get words() {
    return {};
  }

  build() {}

  fit() {}

  /** @param {string} _kind @param {any} _at @returns {any} */
  select(_kind, _at) {}

  /** The kind of the cells that the walk goes over, and the cells. */
  result() {
    return "";
  }

  /** @returns {any[]} */
  walk() {
    return [];
  }

  /** @param {number} _weight */
  colour(_weight) {
    return "";
  }

  keep = () => this.inSight();

  connectedCallback() {
    this.followTheme();
    addEventListener("scroll", this.keep, { capture: true, passive: true });
    if (this.shadowRoot) return;
    this.data = JSON.parse(this.getAttribute("data") ?? "{}");
    this.frame();
    this.pin(false);
    this.build();
    this.play(false);
    this.observe();
  }

  disconnectedCallback() {
    this.themes?.disconnect();
    removeEventListener("scroll", this.keep, true);
    this.play(false);
  }

  /** Light text means a dark page, whichever program shows it. */
  followTheme() {
    const theme = () => {
      const { color } = getComputedStyle(this.parentElement || document.body);
      const [r, g, b] = (color.match(/[\d.]+/g) ?? []).map(Number);
      this.toggleAttribute("dark", r * 3 + g * 6 + b > 1280);
    };
    this.themes = new MutationObserver(theme);
    for (const node of [document.documentElement, document.body]) {
      this.themes.observe(node, { attributes: true });
    }
    matchMedia("(prefers-color-scheme:dark)").onchange = theme;
    theme();
  }

  /** Make the parts that both pictures have. */
  frame() {
    this.free = button("Pin", "Pin the selection", () => this.pin(!this.pinned));
    this.board = html("div", { class: "board" });
    this.equation = html("div", { class: "equation" });
    this.status = html("p", { role: "status" });
    this.answer = html(
      "div",
      { class: "answer", tabindex: 0, role: "group", "aria-label": "Answer" },
      this.status,
      this.equation,
    );
    this.player = button("", "", () => {
      this.touched = true;
      this.play(!this.timer);
    });
    this.summary = html("summary", {}, "Settings");
    const steps = group(
      "Step",
      button("|◀", "Step back", () => this.step(-1)),
      button("▶|", "Step on", () => this.step(1)),
      this.free,
    );
    this.more = html("details", { class: "more" }, this.summary, steps);
    this.hint = html("p", { class: "hint" }, this.words.hint);
    this.bar = html("div", { class: "bar" }, this.player, this.more);
    this.attachShadow({ mode: "open" }).append(
      html("style", {}, STYLE),
      this.hint,
      this.bar,
      this.board,
      this.answer,
    );
  }

  /** React to keys, to the width there is, and to being seen. */
  observe() {
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.pin(false);
    });
    const sizes = new ResizeObserver(() => {
      this.fit();
      // A shorter answer leaves its room free, so that nothing moves under the pointer.
      this.most = Math.max(this.most, this.answer.offsetHeight);
      this.answer.style.marginBottom = `${this.most - this.answer.offsetHeight}px`;
      this.keep();
    });
    for (const node of [this.hint, this.answer]) sizes.observe(node);
    // It starts by itself once it is seen, unless somebody was faster or wants no motion.
    const seen = new IntersectionObserver(
      ([entry]) => {
        if (!entry.isIntersecting) return;
        seen.disconnect();
        const still = matchMedia("(prefers-reduced-motion:reduce)").matches;
        if (this.touched || this.pinned || still) return;
        this.play(true);
        this.left = Math.min(FIRST_WALK, this.left);
      },
      { threshold: 0.6 },
    );
    seen.observe(this);
  }

  /**
   * Keep the answer in sight. An ancestor that scrolls or clips takes the effect from `sticky`: the
   * answer is moved by what is missing. What the body does about overflow is done by the window.
   */
  inSight() {
    let low = innerHeight;
    for (let node = this.parentElement; node && node !== document.body; node = node.parentElement) {
      if (getComputedStyle(node).overflowY !== "visible") {
        low = Math.min(low, node.getBoundingClientRect().bottom);
      }
    }
    const { top, bottom } = this.answer.getBoundingClientRect();
    const { moved } = this;
    const room = top + moved - this.board.getBoundingClientRect().top;
    this.moved = Math.max(0, Math.min(bottom + moved - low, room));
    this.answer.style.transform = `translateY(${-this.moved}px)`;
  }

  /** Whether this is what is chosen already. */
  isChosen(kind, at) {
    return Boolean(this.chosen) && this.chosen[0] === kind && this.chosen[1] === at;
  }

  /** Pointing selects, unless something is pinned. */
  point(kind, at) {
    this.touched = true;
    if (this.pinned || this.isChosen(kind, at)) return;
    this.play(false);
    this.select(kind, at);
  }

  /** A click pins, a second one releases. */
  fix(kind, at) {
    const same = this.pinned && this.isChosen(kind, at);
    this.pin(false);
    this.point(kind, at);
    this.pin(!same);
  }

  pin(on) {
    this.pinned = on;
    put(this.free, { "aria-pressed": on });
    this.toggleAttribute("pinned", on);
  }

  /** The walk over the results, one after the other. */
  step(by, playing = false) {
    if (playing && this.left-- <= 0) return this.play(false);
    if (!playing) {
      this.touched = true;
      this.pin(false);
      this.play(false);
    }
    const walk = this.walk();
    const [kind, at] = this.chosen ?? [];
    const now = kind === this.result() ? walk.indexOf(at) : -1;
    return this.select(this.result(), walk[(now + by + walk.length) % walk.length]);
  }

  play(on) {
    clearInterval(this.timer);
    this.timer = on ? setInterval(() => this.step(1, true), STEP) : 0;
    this.left = this.walk().length; // once round
    if (on) this.pin(false);
    put(this.status, { "aria-live": on ? "off" : "polite" });
    put(this.player, { "aria-label": on ? "Pause" : "Play" });
    setText(this.player, on ? "❚❚ Pause" : "▶ Play");
  }

  /**
   * Mouse, finger and keys in one box: `found` finds what is pointed at, `step` what an arrow leads
   * to from where the keys are.
   */
  listen(box, kind, found, step) {
    box.onpointermove = (event) => {
      if (event.pointerType !== "touch") this.point(kind, found(event));
    };
    box.onclick = (event) => this.clicked(kind, found(event), event.pointerType === "touch");
    box.onfocus = () => {
      if (box.matches(":focus-visible")) this.point(kind, step(0, 0));
    };
    box.onkeydown = (event) => {
      if (event.target !== box || event.ctrlKey || event.metaKey || event.altKey) return;
      const way = ARROWS[event.key];
      if (way) {
        this.pin(false);
        this.point(kind, step(...way));
      } else if (!this.pressed(kind, step(0, 0), event.key)) {
        return;
      }
      event.preventDefault();
    };
    return box;
  }

  /** What a click does; a picture whose numbers can be changed does more. */
  clicked(kind, at, _touch) {
    this.fix(kind, at);
  }

  /** What a key does, and whether it does anything. */
  pressed(kind, at, key) {
    if (key !== "Enter" && key !== " ") return false;
    this.fix(kind, at);
    return true;
  }

  /** @param {string} what @param {Record<string, any>} values */
  say(what, values = {}) {
    return filled(this.words[what], values);
  }

  /** One line of the equation: coloured terms; what has no label is a zero of the padding. */
  line(start, terms, write, end, between = " + ") {
    const chips = terms.slice(0, TERMS).flatMap((term, n) => {
      const style = `--tint:${this.colour(term[0])}`;
      const chip = html("span", { class: term[1] ? "" : "gone", style }, write(...term));
      return n ? [between, chip] : [chip];
    });
    const more = terms.length > TERMS ? `${between}${terms.length - TERMS} more` : "";
    this.equation.append(html("div", {}, start, ...chips, more, terms.length ? "" : "0", end));
  }
}
