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
    if (this.shadowRoot) return;
    Object.assign(this, JSON.parse(this.getAttribute("data"))); // css, colours, hint, and what is shown
    this.free = button("Pin", "Pin the selection", () => this.pin(!this.pinned));
    this.board = html("div", { class: "board" });
    this.equation = html("div", { class: "equation" });
    this.status = html("p", { role: "status" });
    this.answer = html("div", { class: "answer" }, this.status, this.equation);
    this.attachShadow({ mode: "open" }).append(
      html("style", {}, this.css),
      html("p", { class: "hint" }, this.hint[0], html("small", {}, this.hint[1])));
    this.build();
    this.pin(false);
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") this.pin(false); });
  }
  disconnectedCallback() {
    this.watch.disconnect();
    this.play?.(false);
  }
  // Pointing selects, unless something is pinned; a click pins, a second one releases.
  point(kind, at) {
    this.touched = true;
    if (this.pinned || "" + this.chosen === "" + [kind, at]) return;
    this.play?.(false);
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
