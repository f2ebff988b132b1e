// What a page does besides being read. Nothing here is needed to read it.
{
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Colours: as the system, light, dark. The choice is kept where the browser allows it.
  const MODES = { auto: "as the system", light: "light", dark: "dark" };
  const system = matchMedia("(prefers-color-scheme:dark)");
  const colours = document.querySelector("button.colours");
  const paint = (mode) => {
    root.dataset.mode = mode;
    root.dataset.theme = mode === "auto" ? (system.matches ? "dark" : "light") : mode;
    colours?.setAttribute("aria-label", `Colours: ${MODES[mode]}`);
    if (colours) colours.title = `Colours: ${MODES[mode]}`;
  };
  paint(root.dataset.mode || "auto");
  system.onchange = () => paint(root.dataset.mode);
  if (colours) colours.onclick = () => {
    const names = Object.keys(MODES);
    paint(names[(names.indexOf(root.dataset.mode) + 1) % names.length]);
    try { localStorage.setItem("mode", root.dataset.mode); } catch { /* kept for this page only */ }
  };

  // A button on each piece of code copies what one would type: no prompts, no outputs.
  const typed = (pre) => {
    if (!pre.querySelector(".gp")) return pre.textContent.trimEnd();
    const lines = pre.textContent.split("\n").filter((line) => /^(>>>|\.\.\.)( |$)/.test(line));
    return lines.map((line) => line.slice(4)).join("\n").trimEnd();
  };
  for (const box of all(".highlight")) {
    if (box.closest(".output")) continue;
    const button = document.createElement("button");
    button.className = "copy";
    button.type = "button";
    button.textContent = "Copy";
    button.onclick = async () => {
      try { await navigator.clipboard.writeText(typed(box.querySelector("pre"))); button.textContent = "Copied"; }
      catch { button.textContent = "Not allowed"; }
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    };
    box.append(button);
  }

  // What is wider than its box scrolls in it, and can then be reached by keyboard.
  const WIDE = { PRE: "Code", DIV: "Wide content" };
  const measure = (box) => {
    if (box.scrollWidth <= box.clientWidth + 1) {
      for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
    } else if (!box.hasAttribute("tabindex")) {
      box.tabIndex = 0;
      box.setAttribute("role", "group");
      const name = box.querySelector("table") ? "Table" : box.querySelector("math") ? "Formula" : WIDE[box.tagName];
      box.setAttribute("aria-label", `${name}, scrolls sideways`);
    }
  };
  // What is laid out late gets its true height beforehand, the innermost first, so that the page is
  // as long as it will be.
  const LATE = "article section > section, dl.py"; // as in late.css
  const reserve = (part) => {
    const last = part.lastElementChild;
    const below = last.getBoundingClientRect().bottom + parseFloat(getComputedStyle(last).marginBottom);
    part.style.containIntrinsicHeight = `auto ${below - part.getBoundingClientRect().top}px`;
  };
  // The place that the page's address names.
  const linked = () => {
    let name = location.hash.slice(1);
    try { name = decodeURIComponent(name); } catch { /* taken as it is */ }
    return name && document.getElementById(name);
  };
  // A place that is on another page now leads on; without this, the reader sees the link.
  const elsewhere = linked();
  if (elsewhere && elsewhere.matches(".moved-place")) location.replace(elsewhere.firstChild.href);
  // While heights come in, a link still leads to its place, until the reader moves on.
  let moved = false;
  for (const sign of ["wheel", "touchmove", "pointerdown", "keydown"]) {
    addEventListener(sign, () => { moved = true; }, { once: true, passive: true });
  }
  const stay = () => {
    const place = !moved && linked();
    if (place && Math.abs(place.getBoundingClientRect().top) > 2) place.scrollIntoView();
  };
  // A few milliseconds at a time, so that nobody waits.
  let waiting = [];
  const some = () => {
    const end = performance.now() + 5;
    while (waiting.length && performance.now() < end) {
      const box = waiting.pop();
      if (box.matches(LATE)) reserve(box);
      else measure(box);
    }
    stay();
    if (waiting.length) setTimeout(some);
    else moved = true;
  };
  const reach = () => {
    const idle = !waiting.length;
    waiting = all(`${LATE}, .highlight pre, .wide, div.math, .output.text_html`);
    if (idle) setTimeout(some);
  };
  let soon;
  const later = () => { clearTimeout(soon); soon = setTimeout(reach, 100); };
  addEventListener("load", reach);
  addEventListener("resize", later);
  document.addEventListener("toggle", later, true);

  // The section that is being read is marked in the list beside it.
  const links = new Map(all(".on-this-page li > a[href^='#']").map((a) => [a.hash.slice(1), a]));
  if (links.size && "IntersectionObserver" in window) {
    const seen = new Set();
    const mark = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) isIntersecting ? seen.add(target) : seen.delete(target);
      const last = [...seen].sort((a, b) => a.compareDocumentPosition(b) & 2 ? 1 : -1).pop();
      for (const [name, a] of links) {
        if (last && name === last.id) a.setAttribute("aria-current", "true");
        else a.removeAttribute("aria-current");
      }
    }, { rootMargin: "0px 0px -70% 0px" });
    for (const name of links.keys()) {
      const section = document.getElementById(decodeURIComponent(name));
      if (section) mark.observe(section);
    }
  }
  for (const list of all("nav.contents, .on-this-page")) {
    list.addEventListener("click", (event) => { if (event.target.closest("a[href^='#']")) list.hidePopover?.(); });
  }
  const contents = document.getElementById("contents");
  const here = contents?.querySelector("[aria-current]");
  if (here && here.offsetTop > contents.clientHeight - 80) contents.scrollTop = here.offsetTop - contents.clientHeight / 2;

  // "/" or Ctrl+K leads to the search, unless a key is being typed into something.
  addEventListener("keydown", (event) => {
    const slash = event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey;
    const k = event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    const field = document.querySelector("input[name=q]");
    if (!field || event.defaultPrevented || !(k || (slash && !typing))) return;
    event.preventDefault();
    field.focus();
    field.select();
  });

  // A link to something inside a fold opens it, where the browser does not do that by itself.
  const reveal = () => {
    const target = linked();
    let opened = false;
    for (let fold = target && target.closest("details"); fold; fold = fold.parentElement.closest("details")) {
      opened ||= !fold.open;
      fold.open = true;
    }
    if (opened) target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();

  // On paper everything is open and dark on white.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = all("details:not([open])");
    for (const fold of closed) fold.open = true;
    root.dataset.theme = "light";
  });
  addEventListener("afterprint", () => {
    for (const fold of closed) fold.open = false;
    paint(root.dataset.mode);
  });
}
