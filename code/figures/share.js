// Which numbers share a mean? A small batch of images as sheets: a column for each example,
// a row for each channel. Point at a number, and all that it is averaged with light up.

const SHAPE = [3, 4, 4, 4],
  GROUPS = 2; // examples, channels, height, width
const KINDS = { batch: "batch norm", layer: "layer norm", instance: "instance norm", group: "group norm" };
const CELL = 18,
  GAP = 14,
  LEFT = 84,
  ABOVE = 24;

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
  const places = `${h} × ${w} places`;
  const [factor, words, means] = {
    batch: [n, `${n} examples × `, c],
    layer: [c, `${c} channels × `, n],
    instance: [1, "", n * c],
    group: [c / GROUPS, `${c / GROUPS} channels × `, n * GROUPS],
  }[kind];
  const number = (v) => v.toLocaleString("en");
  return `${words}${places} = ${number(factor * h * w)} numbers share one mean; ${number(means)} means in all`;
}

function render({ model, el }) {
  const change = (name, value) => {
    model.set(name, value);
    model.save_changes();
  };
  el.classList.add("bn-figure");

  const kinds = add(el, "fieldset", { class: "bn-controls" });
  add(kinds, "legend", {}, "Average over the crowd of");
  const group = `bn-kind-${Math.random().toString(36).slice(2)}`;
  const radios = Object.entries(KINDS).map(([kind, name]) => {
    const label = add(kinds, "label");
    const radio = add(label, "input", { type: "radio", name: group, value: kind });
    label.append(name);
    radio.addEventListener("change", () => change("kind", kind));
    return radio;
  });

  const [examples, channels, height, width] = SHAPE;
  const sheet = [width * CELL + GAP, height * CELL + GAP];
  const size = [LEFT + examples * sheet[0], ABOVE + channels * sheet[1]];
  const svg = add(el, "svg", {
    viewBox: `0 0 ${size[0]} ${size[1]}`,
    role: "img",
    class: "bn-sheets",
    "aria-label": "three examples with four channels of four by four numbers",
  });
  svg.style.width = `${size[0]}px`;
  const cells = [];
  for (let n = 0; n < examples; n++) {
    add(svg, "text", { x: LEFT + n * sheet[0], y: 15 }, `example ${n + 1}`);
    for (let c = 0; c < channels; c++) {
      if (n === 0) add(svg, "text", { x: 0, y: ABOVE + c * sheet[1] + 42 }, `channel ${c + 1}`);
      for (let h = 0; h < height; h++) {
        for (let w = 0; w < width; w++) {
          const x = LEFT + n * sheet[0] + w * CELL,
            y = ABOVE + c * sheet[1] + h * CELL;
          const node = add(svg, "rect", { x, y, width: CELL - 2, height: CELL - 2, rx: 2 });
          const choose = () => change("cell", [n, c, h, w]);
          node.addEventListener("pointerenter", choose);
          node.addEventListener("pointerdown", choose);
          cells.push([node, [n, c, h, w]]);
        }
      }
    }
  }

  const words = add(el, "p", { class: "bn-words", "aria-live": "polite" });
  const sliders = add(el, "div", { class: "bn-controls" });
  const inputs = ["example", "channel", "row", "column"].map((name, axis) => {
    const label = add(sliders, "label", {}, name);
    const input = add(label, "input", { type: "range", min: 1, max: SHAPE[axis], step: 1 });
    input.addEventListener("input", () => {
      const cell = [...model.get("cell")];
      cell[axis] = Number(input.value) - 1;
      change("cell", cell);
    });
    return input;
  });

  const own = add(el, "div", { class: "bn-controls" });
  add(own, "span", {}, "Your own sizes:");
  const names = ["examples", "channels", "height", "width"];
  const sizes = names.map((name, axis) => {
    const label = add(own, "label", {}, name);
    const input = add(label, "input", { type: "number", min: 1, max: 9999, step: 1 });
    input.addEventListener("input", () => {
      const value = Math.round(Number(input.value));
      if (value < 1) return; // nothing typed yet
      const next = [...model.get("sizes")];
      next[axis] = value;
      change("sizes", next);
    });
    return input;
  });
  const result = add(el, "p", { class: "bn-result", "aria-live": "polite" });

  function draw() {
    const kind = model.get("kind"),
      cell = model.get("cell"),
      own = model.get("sizes");
    radios.forEach((radio) => {
      radio.checked = radio.value === kind;
    });
    for (const [node, place] of cells) {
      const chosen = place.every((v, axis) => v === cell[axis]);
      const lit = shared(kind, place, cell);
      node.setAttribute("class", chosen ? "bn-chosen" : lit ? "bn-lit" : "bn-cell");
    }
    inputs.forEach((input, axis) => {
      input.value = cell[axis] + 1;
    });
    sizes.forEach((input, axis) => {
      if (input !== document.activeElement) input.value = own[axis];
    });
    words.textContent = count(kind, SHAPE);
    const whole = kind !== "group" || own[1] % GROUPS === 0;
    result.textContent = whole ? count(kind, own) : `${own[1]} channels do not split into ${GROUPS} groups`;
  }
  for (const name of ["kind", "cell", "sizes"]) model.on(`change:${name}`, draw);
  draw();
}

export default { render };
