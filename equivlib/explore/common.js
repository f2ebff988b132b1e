// What the linked pictures share: small helpers, and how they are pointed at.
const put = (node, attributes) => {
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  return node;
};
const make = (space, name, attributes, ...children) => {
  const node = put(document.createElementNS("http://www.w3.org/" + space, name), attributes);
  node.append(...children);
  return node;
};
const html = (...rest) => make("1999/xhtml", ...rest);
const svg = (...rest) => make("2000/svg", ...rest);
const button = (text, label, action) => {
  const node = html("button", { type: "button", "aria-label": label }, text);
  node.onclick = action;
  return node;
};
const count = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
const listed = (names) => {
  const all = [...new Set(names)];
  return all.slice(0, 4).join(", ") + (all.length > 4 ? ` and ${all.length - 4} more` : "");
};
const signed = (value) => (/^-|.[-+\s]/.test(value) ? `(${value})` : value);
const media = (query) => matchMedia(`(prefers-${query})`);

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
    media("color-scheme: dark").onchange = theme;
    theme();
    if (this.shadowRoot) return;
    Object.assign(this, JSON.parse(this.getAttribute("data"))); // css, colours, hint, and what is shown
    this.free = button("Release", "Release the pin", () => this.pin(false));
    this.board = html("div", { class: "board" });
    this.equation = html("div", { class: "equation" });
    this.status = html("p", { role: "status" });
    this.attachShadow({ mode: "open" }).append(
      html("style", {}, this.css),
      html("p", { class: "hint" }, this.hint[0], html("small", {}, this.hint[1])));
    this.build();
    this.pin(false);
    this.onkeydown = (event) => { if (event.key === "Escape") this.pin(false); };
  }
  disconnectedCallback() {
    this.watch.disconnect();
    this.play?.(false);
  }
  // Pointing selects, unless something is pinned; a click pins, a second one releases.
  point(kind, at) {
    this.touched = true;
    if (this.pinned) return;
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
    this.free.style.visibility = on ? "visible" : "hidden";
  }
  // Mouse, finger and keys in one box: `found` finds what is pointed at, `step` what an arrow leads to.
  listen(box, kind, found, step) {
    box.onpointermove = (event) => { if (event.pointerType !== "touch") this.point(kind, found(event)); };
    box.onclick = (event) => this.fix(kind, found(event));
    box.onfocus = () => { if (box.matches(":focus-visible")) this.point(kind, step(0, 0)); };
    box.onkeydown = (event) => {
      const way = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (event.key === "Enter") this.fix(kind, step(0, 0));
      if (!way) return;
      event.preventDefault();
      this.pin(false);
      this.point(kind, step(...way));
    };
    return box;
  }
}
