// Which numbers share a mean? A small batch of images as sheets: a column for each example,
// a row for each channel. Point at a number: all that it is averaged with light up.

const SHAPE = [3, 4, 4, 4]; // examples, channels, height, width
const GROUPS = 2;

// With which numbers one is averaged depends on its example n, its channel c or both.
const crowd = (kind, [n, c]) =>
  ({ batch: [c], layer: [n], instance: [n, c], group: [n, Math.floor(c / (SHAPE[1] / GROUPS))] })[kind];

// How many numbers share one mean, and how many means there are.
function count(kind, [n, c, h, w]) {
  if (kind === "group" && c % GROUPS) return `${c} channels do not split into ${GROUPS} groups`;
  const sheets = { batch: n, layer: c, instance: 1, group: c / GROUPS }[kind];
  const what = kind === "batch" ? "examples" : "channels";
  const words = kind === "instance" ? "" : `${sheets} ${what} × `;
  const number = (v) => v.toLocaleString("en");
  return `${words}${h} × ${w} places = ${number(sheets * h * w)} numbers share one mean; ${number((n * c) / sheets)} means in all`;
}

function render({ model, el }) {
  const change = (name, value) => {
    model.set(name, value);
    model.save_changes();
  };
  const each = (list, f) => list.map(f).join("");
  const cells = Array.from({ length: 192 }, (_, i) =>
    [i / 64, (i / 16) % 4, (i / 4) % 4, i % 4].map(Math.floor),
  );
  const rect = ([n, c, h, w]) =>
    `<rect x="${84 + 86 * n + 18 * w}" y="${24 + 86 * c + 18 * h}" width="16" height="16" rx="2"/>`;
  const radio = ([kind, name]) => `<label><input type="radio" name="kind" value="${kind}">${name}</label>`;
  const slider = (name, axis) => `<label>${name}<input type="range" min="1" max="${SHAPE[axis]}"></label>`;
  const field = (name) => `<label>${name}<input type="number" min="1" max="9999"></label>`;

  el.classList.add("bn-figure");
  el.innerHTML = `<form method="dialog"><div class="bn-panels">
      <svg class="bn-sheets" viewBox="0 0 342 368" role="img"
        aria-label="three examples with four channels of four by four numbers">
        ${each([1, 2, 3], (n) => `<text x="${86 * n - 2}" y="15">example ${n}</text>`)}
        ${each([1, 2, 3, 4], (c) => `<text y="${86 * c - 20}">channel ${c}</text>`)}${each(cells, rect)}</svg>
      <div class="bn-side">
        <fieldset class="bn-controls"><legend>Which numbers share a mean in</legend>
          ${each(model.get("kinds"), radio)}</fieldset>
        <p class="bn-words" aria-live="polite"></p>
        <div class="bn-controls">${each(["example", "channel", "row", "column"], slider)}</div>
      </div>
    </div>
    <div class="bn-controls">Your own sizes: ${each(["examples", "channels", "height", "width"], field)}</div>
    <p class="bn-result" aria-live="polite"></p></form>`;
  const form = el.firstChild;
  const all = (selector) => [...form.querySelectorAll(selector)];
  const [words, result] = all("p");
  const nodes = all("rect");
  form.onpointerover = form.onpointerdown = ({ target }) => {
    if (nodes.includes(target)) change("cell", cells[nodes.indexOf(target)]);
  };
  for (const input of form.kind) input.onchange = () => change("kind", input.value);
  // Four inputs for the entries of a trait, which are shown plus `base`.
  const bind = (trait, base, inputs) => {
    inputs.forEach((input, axis) => {
      input.onblur = draw; // what stands there is what counts
      input.oninput = () => {
        const value = Math.min(9999, Math.round(Number(input.value)));
        if (value >= 1) change(trait, model.get(trait).with(axis, value - base)); // less: nothing typed yet
      };
    });
    return () => {
      for (const [axis, input] of inputs.entries())
        if (base || input !== document.activeElement) input.value = model.get(trait)[axis] + base;
    };
  };
  const shows = [bind("cell", 1, all("[type=range]")), bind("sizes", 0, all("[type=number]"))];

  function draw() {
    const [kind, cell] = [model.get("kind"), model.get("cell")];
    form.kind.value = kind;
    const own = `${crowd(kind, cell)}`;
    cells.forEach((place, i) => {
      const group = crowd(kind, place);
      const lit = `${group}` === own ? "lit" : "cell";
      nodes[i].setAttribute("class", `bn-${`${place}` === `${cell}` ? "chosen" : lit}`);
      nodes[i].dataset.odd = group.reduce((a, b) => a + b) % 2; // neighbours differ
    });
    all("text").forEach((head, i) => (head.dataset.own = i === cell[0] || i === cell[1] + 3));
    for (const show of shows) show();
    words.textContent = count(kind, SHAPE);
    result.textContent = count(kind, model.get("sizes"));
  }
  for (const name of ["kind", "cell", "sizes"]) model.on(`change:${name}`, draw);
  draw();
}

export default { render };
