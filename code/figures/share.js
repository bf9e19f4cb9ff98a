// Which numbers share a mean? A small batch of images as sheets: a column for each example,
// a row for each channel. Point at a number, and all that it is averaged with light up.

const SHAPE = [3, 4, 4, 4]; // examples, channels, height, width
const KINDS = { batch: "batch norm", layer: "layer norm", instance: "instance norm", group: "group norm" };
const [GROUPS, CELL, SHEET, LEFT, ABOVE] = [2, 18, 86, 84, 24]; // lengths in px

// A child of `parent`; what is in an <svg> is of the SVG namespace.
function add(parent, tag, attributes = {}, text = "") {
  const space = tag === "svg" ? "http://www.w3.org/2000/svg" : parent.namespaceURI;
  const node = document.createElementNS(space, tag);
  for (const name in attributes) node.setAttribute(name, attributes[name]);
  node.textContent = text;
  parent.append(node);
  return node;
}

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
  el.classList.add("bn-figure");

  const halves = add(el, "div", { class: "bn-panels" });
  const [left, right] = [add(halves, "div"), add(halves, "div", { class: "bn-side" })];
  const kinds = add(right, "fieldset", { class: "bn-controls" });
  add(kinds, "legend", {}, "Average over the crowd of");
  const group = `bn-kind-${Math.random().toString(36).slice(2)}`;
  const radios = Object.keys(KINDS).map((kind) => {
    const label = add(kinds, "label");
    const radio = add(label, "input", { type: "radio", name: group, value: kind });
    label.append(KINDS[kind]);
    radio.addEventListener("change", () => change("kind", kind));
    return radio;
  });

  const [width, height] = [LEFT + SHAPE[0] * SHEET, ABOVE + SHAPE[1] * SHEET];
  const label = "three examples with four channels of four by four numbers";
  const box = { viewBox: `0 0 ${width} ${height}`, style: `width: ${width}px` };
  const svg = add(left, "svg", { ...box, role: "img", class: "bn-sheets", "aria-label": label });
  const cells = [];
  for (let n = 0; n < SHAPE[0]; n++) {
    add(svg, "text", { x: LEFT + n * SHEET, y: 15 }, `example ${n + 1}`);
    for (let c = 0; c < SHAPE[1]; c++) {
      if (n === 0) add(svg, "text", { x: 0, y: ABOVE + c * SHEET + 42 }, `channel ${c + 1}`);
      for (let i = 0; i < SHAPE[2] * SHAPE[3]; i++) {
        const place = [n, c, Math.floor(i / SHAPE[3]), i % SHAPE[3]];
        const [x, y] = [LEFT + n * SHEET + place[3] * CELL, ABOVE + c * SHEET + place[2] * CELL];
        const node = add(svg, "rect", { x, y, width: CELL - 2, height: CELL - 2, rx: 2 });
        for (const event of ["pointerenter", "pointerdown"]) {
          node.addEventListener(event, () => change("cell", place));
        }
        cells.push([node, place]);
      }
    }
  }

  // Four inputs, for the four entries of the trait `trait`, which are shown plus `base`.
  const inputs = (parent, trait, base, text, names, attributes) => {
    const row = add(parent, "div", { class: "bn-controls" }, text);
    return names.map((name, axis) => {
      const input = add(add(row, "label", {}, name), "input", { min: 1, step: 1, ...attributes(axis) });
      input.addEventListener("input", () => {
        const value = Math.round(Number(input.value));
        if (value >= 1) change(trait, model.get(trait).with(axis, value - base)); // less: nothing typed yet
      });
      return input;
    });
  };
  const words = add(right, "p", { class: "bn-words", "aria-live": "polite" });
  const places = ["example", "channel", "row", "column"];
  const sliders = inputs(right, "cell", 1, "", places, (axis) => ({ type: "range", max: SHAPE[axis] }));
  const axes = ["examples", "channels", "height", "width"];
  const sizes = inputs(el, "sizes", 0, "Your own sizes:", axes, () => ({ type: "number", max: 9999 }));
  const result = add(el, "p", { class: "bn-result", "aria-live": "polite" });

  function draw() {
    const [kind, cell, own] = ["kind", "cell", "sizes"].map((name) => model.get(name));
    for (const radio of radios) radio.checked = radio.value === kind;
    for (const [node, place] of cells) {
      const chosen = place.every((v, axis) => v === cell[axis]);
      const lit = shared(kind, place, cell);
      node.setAttribute("class", chosen ? "bn-chosen" : lit ? "bn-lit" : "bn-cell");
    }
    sliders.forEach((input, axis) => (input.value = cell[axis] + 1));
    sizes.forEach((input, axis) => {
      if (input !== document.activeElement) input.value = own[axis];
    });
    words.textContent = count(kind, SHAPE);
    result.textContent = count(kind, own);
  }
  for (const name of ["kind", "cell", "sizes"]) model.on(`change:${name}`, draw);
  draw();
}

export default { render };
