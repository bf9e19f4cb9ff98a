// Which numbers share a mean? A small batch of images as sheets: a column for each example,
// a row for each channel. Point at a number, and all that it is averaged with light up.

const SHAPE = [3, 4, 4, 4]; // examples, channels, height, width
const KINDS = {
  batch: "batch norm",
  layer: "layer norm",
  instance: "instance norm",
  group: "group norm (2 groups)",
};
const [GROUPS, CELL, SHEET, LEFT, ABOVE] = [2, 18, 86, 84, 24]; // lengths in px

// Whether two numbers, given by example and channel, are averaged together.
function shared(kind, [n, c], [m, d]) {
  const group = (channel) => Math.floor(channel / (SHAPE[1] / GROUPS));
  if (kind === "batch") return c === d;
  if (kind === "layer") return n === m;
  if (kind === "instance") return n === m && c === d;
  return n === m && group(c) === group(d);
}

// How many numbers share one mean, as words, and how many means there are.
function count(kind, [n, c, h, w]) {
  if (kind === "group" && c % GROUPS) return `${c} channels do not split into ${GROUPS} groups`;
  const [factor, words, means] = {
    batch: [n, `${n} examples × `, c],
    layer: [c, `${c} channels × `, n],
    instance: [1, "", n * c],
    group: [c / GROUPS, `${c / GROUPS} channels × `, n * GROUPS],
  }[kind];
  const number = (v) => v.toLocaleString("en");
  return `${words}${h} × ${w} places = ${number(factor * h * w)} numbers share one mean; ${number(means)} means in all`;
}

function render({ model, el }) {
  const change = (name, value) => {
    model.set(name, value);
    model.save_changes();
  };
  const cells = [];
  const texts = [];
  for (let n = 0; n < SHAPE[0]; n++) {
    texts.push(`<text x="${LEFT + n * SHEET}" y="15">example ${n + 1}</text>`);
    for (let c = 0; c < SHAPE[1]; c++) {
      if (n === 0) texts.push(`<text x="0" y="${ABOVE + c * SHEET + 42}">channel ${c + 1}</text>`);
      for (let i = 0; i < SHAPE[2] * SHAPE[3]; i++)
        cells.push([n, c, Math.floor(i / SHAPE[3]), i % SHAPE[3]]);
    }
  }
  const rects = cells.map(([n, c, h, w]) => {
    const [x, y] = [LEFT + n * SHEET + w * CELL, ABOVE + c * SHEET + h * CELL];
    return `<rect x="${x}" y="${y}" width="${CELL - 2}" height="${CELL - 2}" rx="2"/>`;
  });
  const group = `bn-kind-${Math.random().toString(36).slice(2)}`;
  const radios = Object.entries(KINDS).map(
    ([kind, name]) => `<label><input type="radio" name="${group}" value="${kind}">${name}</label>`,
  );
  const input = (name, rest) => `<label>${name}<input min="1" step="1" ${rest}></label>`;
  const places = ["example", "channel", "row", "column"].map((name, axis) =>
    input(name, `type="range" max="${SHAPE[axis]}"`),
  );
  const sizes = ["examples", "channels", "height", "width"].map((name) =>
    input(name, 'type="number" max="9999"'),
  );
  const [width, height] = [LEFT + SHAPE[0] * SHEET, ABOVE + SHAPE[1] * SHEET];

  el.classList.add("bn-figure");
  el.innerHTML = `<div class="bn-panels">
      <svg class="bn-sheets" width="${width}" viewBox="0 0 ${width} ${height}" role="img"
        aria-label="three examples with four channels of four by four numbers">${texts.join("")}${rects.join("")}</svg>
      <div class="bn-side">
        <fieldset class="bn-controls"><legend>Average over the crowd of</legend>${radios.join("")}</fieldset>
        <p class="bn-words" aria-live="polite"></p>
        <div class="bn-controls">${places.join("")}</div>
      </div>
    </div>
    <div class="bn-controls">Your own sizes: ${sizes.join("")}</div>
    <p class="bn-result" aria-live="polite"></p>`;
  const all = (selector) => [...el.querySelectorAll(selector)];
  const nodes = all("rect");
  nodes.forEach((node, i) => {
    node.onpointerenter = () => change("cell", cells[i]);
    node.onpointerdown = () => change("cell", cells[i]);
  });
  for (const radio of all("[type=radio]")) radio.onchange = () => change("kind", radio.value);
  // Four inputs for the four entries of a trait, which are shown plus `base`.
  const bind = (trait, base, inputs) => {
    inputs.forEach((input, axis) => {
      input.onblur = draw; // what stands there is what counts
      input.oninput = () => {
        const value = Math.min(9999, Math.round(Number(input.value)));
        if (value >= 1) change(trait, model.get(trait).with(axis, value - base)); // less: nothing typed yet
      };
    });
    return () => {
      for (const [axis, input] of inputs.entries()) {
        if (input.type === "range" || input !== document.activeElement)
          input.value = model.get(trait)[axis] + base;
      }
    };
  };
  const shows = [bind("cell", 1, all("[type=range]")), bind("sizes", 0, all("[type=number]"))];

  function draw() {
    const [kind, cell] = [model.get("kind"), model.get("cell")];
    for (const radio of all("[type=radio]")) radio.checked = radio.value === kind;
    cells.forEach((place, i) => {
      const chosen = place.every((v, axis) => v === cell[axis]);
      const lit = shared(kind, place, cell);
      nodes[i].setAttribute("class", chosen ? "bn-chosen" : lit ? "bn-lit" : "bn-cell");
    });
    for (const show of shows) show();
    el.querySelector(".bn-words").textContent = count(kind, SHAPE);
    el.querySelector(".bn-result").textContent = count(kind, model.get("sizes"));
  }
  for (const name of ["kind", "cell", "sizes"]) model.on(`change:${name}`, draw);
  draw();
}

export default { render };
