// What the linked pictures share: small helpers, and how they are pointed at.
const { floor, max, min } = Math;
const put = (node, told) => {
  for (const key in told) node.setAttribute(key, told[key]);
  return node;
};
const make = (space, name, told, ...children) => {
  const node = put(document.createElementNS("http://www.w3.org/" + space, name), told);
  node.append(...children);
  return node;
};
const html = (...rest) => make("1999/xhtml", ...rest);
const svg = (...rest) => make("2000/svg", ...rest);
const button = (text, label, action) => {
  const node = html("button", { type: "button", title: label, ...(label && { "aria-label": label }) }, text);
  node.onclick = action;
  return node;
};
const group = (label, ...children) => html("span", { role: "group", "aria-label": label }, ...children);
const count = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
const listed = (names) => {
  const all = [...new Set(names)];
  return all.slice(0, 4).join(", ") + (all.length > 4 ? ` and ${all.length - 4} more` : "");
};
const signed = (value) => (/^-|.[-+\s]/.test(value) ? `(${value})` : value);

// What every linked picture does: follow the colours of the page, release a pin, start by itself.
class Linked extends HTMLElement {
  connectedCallback() {
    // Light text means a dark page, whichever program shows it.
    const theme = () => {
      const [r, g, b] = getComputedStyle(this.parentElement || document.body).color.match(/[\d.]+/g);
      this.toggleAttribute("dark", r * 3 + g * 6 + b * 1 > 1280);
    };
    this.watch = new MutationObserver(theme);
    for (const node of [document.documentElement, document.body]) this.watch.observe(node, { attributes: true });
    matchMedia("(prefers-color-scheme:dark)").onchange = theme;
    theme();
    addEventListener("scroll", (this.keep = () => this.inSight()), { capture: true, passive: true });
    if (this.shadowRoot) return;
    Object.assign(this, JSON.parse(this.getAttribute("data"))); // css, colours, hint, and what is shown
    this.moved = this.most = 0;
    this.free = button("Pin", "Pin the selection", () => this.pin(!this.pinned));
    this.board = html("div", { class: "board" });
    this.equation = html("div", { class: "equation" });
    this.status = html("p", { role: "status" });
    this.answer = html("div", { class: "answer", tabindex: 0, role: "group", "aria-label": "Answer" }, this.status, this.equation);
    this.player = button("", "", () => { this.touched = true; this.play(!this.timer); });
    this.summary = html("summary", {}, "Settings");
    this.more = html("details", { class: "more" }, this.summary, html("p", {}, this.hint[1]),
      group("Step", button("|◀", "Step back", () => this.step(-1)), button("▶|", "Step on", () => this.step(1)), this.free));
    const hint = html("p", { class: "hint" }, this.hint[0]);
    this.attachShadow({ mode: "open" }).append(
      html("style", {}, this.css), hint, html("div", { class: "bar" }, this.player, this.more), this.board, this.answer);
    this.build();
    this.pin(false);
    this.play(false);
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") this.pin(false); });
    const sizes = new ResizeObserver(() => {
      this.fit();
      // A shorter answer leaves its room free, so that nothing moves under the pointer.
      const { offsetHeight, style } = this.answer;
      this.most = max(this.most, offsetHeight);
      style.marginBottom = this.most - offsetHeight + "px";
      this.keep();
    });
    for (const node of [hint, this.answer]) sizes.observe(node);
    // It starts by itself once it is seen, unless somebody was faster or wants no motion.
    const seen = new IntersectionObserver(([entry]) => {
      if (!entry.isIntersecting) return;
      seen.disconnect();
      if (this.touched || matchMedia("(prefers-reduced-motion:reduce)").matches) return;
      this.play(true);
      this.left = min(12, this.left); // steps, then it waits
    }, { threshold: 0.6 });
    seen.observe(this);
  }
  disconnectedCallback() {
    this.watch.disconnect();
    removeEventListener("scroll", this.keep, true);
    this.play(false);
  }
  // An ancestor that scrolls or clips takes the effect from `sticky`: the answer is moved by what is
  // missing. What the body does about overflow is done by the window instead.
  inSight() {
    let low = innerHeight, node = this;
    while ((node = node.parentElement) !== document.body) if (getComputedStyle(node).overflowY !== "visible") low = min(low, node.getBoundingClientRect().bottom);
    const { top, bottom } = this.answer.getBoundingClientRect(), { moved } = this;
    this.moved = max(0, min(bottom + moved - low, top + moved - this.board.getBoundingClientRect().top));
    this.answer.style.transform = `translateY(${-this.moved}px)`;
  }
  // Pointing selects, unless something is pinned; a click pins, a second one releases.
  point(kind, at) {
    this.touched = true;
    if (this.pinned || "" + this.chosen === "" + [kind, at]) return;
    this.play(false);
    this.select(kind, at);
  }
  fix(kind, at) {
    const same = this.pinned && "" + this.chosen === "" + [kind, at];
    this.pin(false);
    this.point(kind, at);
    this.pin(!same);
  }
  pin(on) {
    this.pinned = on;
    put(this.free, { "aria-pressed": !!on });
    this.toggleAttribute("pinned", !!on);
  }
  // The walk over the results, one after the other.
  step(by, playing) {
    if (playing && !this.left--) return this.play(false);
    if (!playing) {
      this.touched = true;
      this.pin(false);
      this.play(false);
    }
    const walk = this.walk(), [kind, at] = this.chosen, now = kind === this.result() ? walk.indexOf(at) : -1;
    this.select(this.result(), walk[(now + by + walk.length) % walk.length]);
  }
  play(on) {
    clearInterval(this.timer);
    this.timer = on && setInterval(() => this.step(1, true), 1100);
    this.left = this.walk().length; // once round
    if (on) this.pin(false);
    put(this.status, { "aria-live": on ? "off" : "polite" });
    put(this.player, { "aria-label": on ? "Pause" : "Play" }).textContent = on ? "❚❚ Pause" : "▶ Play";
  }
  // Mouse, finger and keys in one box: `found` finds what is pointed at, `step` what an arrow leads to.
  listen(box, kind, found, step) {
    box.onpointermove = (event) => { if (event.pointerType !== "touch") this.point(kind, found(event)); };
    box.onclick = (event) => this.fix(kind, found(event));
    box.onfocus = () => { if (box.matches(":focus-visible")) this.point(kind, step(0, 0)); };
    box.onkeydown = (event) => {
      const way = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      const press = event.key === "Enter" || event.key === " ";
      if (!way && !press) return;
      event.preventDefault();
      if (press) return this.fix(kind, step(0, 0));
      this.pin(false);
      this.point(kind, step(...way));
    };
    return box;
  }
  say(what, values) {
    return this.words[what].replace(/{(\w+)}/g, (_, name) => values[name]);
  }
  // One line of the equation: coloured terms; what has no label is a zero of the padding.
  line(start, terms, write, end) {
    this.equation.append(html("div", {}, start, ...terms.slice(0, 40).flatMap((term, n) => {
      const chip = html("span", { class: term[1] ? "" : "gone", style: "--tint:" + this.colour(term[0]) }, write(...term));
      return n ? [" + ", chip] : [chip];
    }), terms.length > 40 ? ` + ${terms.length - 40} more` : "", terms.length ? "" : "0", end));
  }
}
