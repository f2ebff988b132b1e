// The tournament that makes a maximum of ReLUs, drawn as a bracket.

const [BRACKET_W, BRACKET_H, BRACKET_GAP] = [46, 24, 118]; // px: of a number, and from round to round

/**
 * Draw the rounds of a tournament: of a and b, the first with +1 and the second with −1, the larger
 * is b + relu(a − b).
 *
 * @param {number[]} values
 */
function bracketOf(values) {
  const rounds = roundsOf(values);
  const tall = values.length * (BRACKET_H + 6);
  const wide = (rounds.length - 1) * (BRACKET_W + BRACKET_GAP) + BRACKET_W;
  const place = (round, n) => ({
    x: round * (BRACKET_W + BRACKET_GAP),
    y: ((n + 0.5) * 2 ** round - 0.5) * (BRACKET_H + 6),
  });
  const said = `tournament of ${values.map(written).join(", ")}: ${written(Math.max(...values))} wins`;
  const sheet = svg("svg", {
    viewBox: `-2 -2 ${wide + 4} ${tall + 4}`,
    width: wide + 4,
    role: "img",
    "aria-label": said,
    class: "bracket",
  });
  rounds.forEach((round, r) =>
    round.forEach((value, n) => {
      const at = place(r, n);
      if (at.y > tall - BRACKET_H) at.y = tall - BRACKET_H - 6;
      if (r) sheet.append(...meeting(rounds[r - 1], n, value, (m) => place(r - 1, m), at, tall));
      const text = svg("text", { x: at.x + BRACKET_W / 2, y: at.y + 16 }, written(value));
      sheet.append(svg("rect", { ...at, width: BRACKET_W, height: BRACKET_H }), text);
    }),
  );
  return html("div", { class: "brackets", tabindex: 0, role: "group", "aria-label": said }, sheet);
}

/** Draw two lines to the winner with +1 and −1, and how it is computed; one alone goes on as it is. */
function meeting(before, n, value, place, at, tall) {
  const pair = [2 * n, 2 * n + 1].filter((m) => m < before.length);
  const parts = pair.flatMap((m, i) => {
    const from = place(m);
    if (from.y > tall - BRACKET_H) from.y = tall - BRACKET_H - 6;
    const [x, y] = [from.x + BRACKET_W, from.y + BRACKET_H / 2];
    const won = before[m] === value;
    const d = `M${x} ${y}H${x + 20}L${at.x - 8} ${at.y + BRACKET_H / 2}H${at.x}`;
    const line = svg("path", { d, class: won ? "way won" : "way" });
    if (pair.length < 2) return [line];
    return [line, svg("text", { x: x + 10, y: y - 3 }, i ? "−1" : "+1")];
  });
  return parts;
}
