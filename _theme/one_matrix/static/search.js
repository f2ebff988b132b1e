// The search page. Which pages have the words is decided by Sphinx's searchtools.js; this shows
// them, with the sections that have the words. The index is loaded when somebody searches, by
// script tags, which work on a page opened from a disk too. Nothing is kept in the browser.
{
  const ROOT = document.documentElement.dataset.content_root;
  // In the order in which they need each other.
  const FILES = [
    "_static/language_data.js", "_static/searchtools.js", "searchindex.js", "searchsections.js",
  ];
  const MOST_PAGES = 30, MOST_PLACES = 6;
  const form = document.querySelector("form.search-page");
  const input = form.elements.q;
  const list = document.getElementById("search-results");
  const status = document.getElementById("search-told");

  // What searchtools.js expects of scripts of Sphinx that the book does not load.
  window._ready = () => {};
  window._ = (text) => text;
  window.SPHINX_HIGHLIGHT_ENABLED = false;
  let sections = { places: [], stems: {} };
  window.setSections = (told) => { sections = told; };

  const load = (file) => new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = ROOT + file;
    script.onload = done;
    script.onerror = () => failed(new Error(`${file} cannot be loaded`));
    document.head.append(script);
  });
  let index;
  const loaded = () => (index ??= FILES.reduce(
    (before, file) => before.then(() => load(file)), Promise.resolve()));

  // The numbers of the places that have a word, or one that contains it.
  const numbers = (stem) => {
    let n = 0; // each is written as the step from the one before
    return sections.stems[stem].split(" ").map((step) => (n += +step));
  };
  const withWord = (word) => {
    if (Object.hasOwn(sections.stems, word)) return new Set(numbers(word));
    const longer = word.length > 2 ? Object.keys(sections.stems).filter((stem) => stem.includes(word)) : [];
    return new Set(longer.flatMap(numbers));
  };
  const withAll = (words) => [...words].map(withWord)
    .reduce((kept, found) => (kept ? kept.filter((n) => found.has(n)) : [...found]), null) ?? [];

  // Sphinx's titles are HTML, with the number of a chapter in an element.
  const plain = (html) => new DOMParser().parseFromString(html, "text/html").body.textContent;

  // Results by page, the best first: its title, and the places in it under their titles.
  const search = (query) => {
    const asked = Search._parseQuery(query);
    const pages = new Map();
    const page = (name) => {
      if (!pages.has(name)) pages.set(name, new Map());
      return pages.get(name);
    };
    const titles = new Map(sections.places.map(([name, anchor, title]) => [`${name}#${anchor}`, title]));
    for (const [name, title, anchor] of Search._performSearch(...asked).reverse()) {
      const places = page(name);
      const told = titles.get(name + anchor) || plain(title.split(" > ").pop());
      if (anchor && !places.has(anchor.slice(1))) places.set(anchor.slice(1), told);
    }
    for (const number of asked[1].size ? withAll(asked[1]).sort((a, b) => a - b) : []) {
      const [name, anchor, title] = sections.places[number];
      const places = page(name);
      if (title && !places.has(anchor)) places.set(anchor, title);
    }
    return { pages, words: [...asked[3]] };
  };

  const link = (name, anchor, title, words) => {
    const a = document.createElement("a");
    // A text fragment marks the words on the page, and opens what is folded around them.
    const text = words.map((word) => `text=${encodeURIComponent(word).replaceAll("-", "%2D")}`);
    const mark = document.fragmentDirective && words.length ? `:~:${text.join("&")}` : "";
    a.href = `${ROOT}${name}.html${anchor || mark ? `#${anchor}${mark}` : ""}`;
    a.textContent = title;
    return a;
  };
  const show = ({ pages, words }, query) => {
    const names = Search._index.docnames;
    list.replaceChildren(...[...pages].slice(0, MOST_PAGES).map(([name, places]) => {
      const item = document.createElement("li");
      const own = plain(Search._index.titles[names.indexOf(name)]);
      item.append(link(name, "", own, words));
      const told = [...places].filter(([, title]) => !own.endsWith(title)).slice(0, MOST_PLACES);
      if (told.length) {
        const within = document.createElement("ul");
        within.append(...told.map(([anchor, title]) => {
          const place = document.createElement("li");
          place.append(link(name, anchor, title, anchor.startsWith("term-") ? [] : words));
          return place;
        }));
        item.append(within);
      }
      return item;
    }));
    const count = pages.size === 1 ? "1 page has" : `${pages.size || "No"} pages have`;
    const more = pages.size > MOST_PAGES ? `; the first ${MOST_PAGES} follow` : "";
    status.textContent = pages.size
      ? `${count} “${query}”${more}.`
      : `No page has “${query}”. Fewer words, or the beginning of one, find more.`;
  };

  let last = "";
  const run = async () => {
    const query = input.value.trim();
    if (query === last) return;
    last = query;
    if (!query) { list.replaceChildren(); status.textContent = ""; return; }
    status.textContent = "Loading the index …";
    try { await loaded(); } catch (error) { status.textContent = `${error.message}.`; return; }
    if (query === last) show(search(query), query);
  };
  let soon;
  input.oninput = () => { clearTimeout(soon); soon = setTimeout(run, 150); };
  form.onsubmit = (event) => {
    event.preventDefault();
    clearTimeout(soon);
    run();
    try { history.replaceState(null, "", `?q=${encodeURIComponent(input.value.trim())}`); }
    catch { /* some browsers refuse on a page opened from a disk */ }
  };
  input.value = new URLSearchParams(location.search).get("q") ?? "";
  input.focus();
  run();
}
