// What browsers of today do by themselves, for those that do not: a link to something inside a
// fold opens it, and a printed page has everything in it. Without scripts the folds still work.
(() => {
  const follow = () => {
    let name = location.hash.slice(1);
    try {
      name = decodeURIComponent(name);
    } catch {
      // an address that is not encoded as it should be is taken as it is
    }
    const target = name && document.getElementById(name);
    let opened = false;
    for (let fold = target && target.closest("details"); fold; fold = fold.parentElement.closest("details")) {
      opened ||= !fold.open;
      fold.open = true;
    }
    if (opened) target.scrollIntoView();
  };
  let shut = [];
  addEventListener("hashchange", follow);
  addEventListener("beforeprint", () => {
    shut = [...document.querySelectorAll("details.fold:not([open])")];
    for (const fold of shut) fold.open = true;
  });
  addEventListener("afterprint", () => {
    for (const fold of shut) fold.open = false;
  });
  follow();
})();
