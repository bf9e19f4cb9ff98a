// A batch, normalized. Two number lines: x above, y = gamma * x_hat + beta below, a thread from each
// example to its image. Drag an example, or focus it and use the arrow keys.

const [LOW, HIGH, TOP, BOTTOM, HEIGHT, MARGIN] = [-4, 20, 64, 196, 236, 22];
const START = { x: [1, 7, 9, 15], gamma: 1, beta: 0, eps: 1e-5 };
const STEPS = { ArrowRight: 0.1, ArrowUp: 0.1, ArrowLeft: -0.1, ArrowDown: -0.1, PageUp: 1, PageDown: -1 };

// A child of `parent`; what is in an <svg> is of the SVG namespace.
function add(parent, tag, attributes = {}, text = "") {
  const space = tag === "svg" ? "http://www.w3.org/2000/svg" : parent.namespaceURI;
  const node = document.createElementNS(space, tag);
  for (const name in attributes) node.setAttribute(name, attributes[name]);
  node.textContent = text;
  parent.append(node);
  return node;
}

// The same formula as code/bn.py, which a browser test holds it to.
function normalize({ x, gamma, beta, eps }) {
  const mean = x.reduce((sum, v) => sum + v, 0) / x.length;
  const variance = x.reduce((sum, v) => sum + (v - mean) ** 2, 0) / x.length;
  const xHat = x.map((v) => (v - mean) / Math.sqrt(variance + eps));
  return { mean, variance, xHat, y: xHat.map((v) => gamma * v + beta) };
}

const minus = (text) => text.replace("-", "−");
const format = (v) => minus(v > 0 && v < 0.01 ? v.toExponential(0) : v.toFixed(1));

function render({ model, el }) {
  const state = () => Object.fromEntries(Object.keys(START).map((name) => [name, model.get(name)]));
  const change = (values) => {
    for (const name in values) model.set(name, values[name]);
    model.save_changes();
  };

  el.classList.add("bn-figure");
  const svg = add(el, "svg", { role: "group", "aria-label": "A batch and the normalized batch" });
  const spread = add(svg, "rect", { class: "bn-band", y: TOP - 20, height: 40 });
  const back = add(svg, "g", { "aria-hidden": "true" });
  const threads = add(svg, "g");
  const fulcrum = add(svg, "path", { class: "bn-fulcrum" });
  const words = add(svg, "text", { class: "bn-words", y: 22 });
  const points = add(svg, "g");

  let width = 640;
  const place = (v) => MARGIN + ((width - 2 * MARGIN) * (v - LOW)) / (HIGH - LOW);
  const move = (i, v) => {
    const x = [...model.get("x")];
    x[i] = Math.min(HIGH, Math.max(LOW, Math.round(v * 10) / 10));
    change({ x });
  };
  function point(i) {
    const limits = { "aria-valuemin": LOW, "aria-valuemax": HIGH };
    const looks = { class: "bn-in", r: 10, cy: TOP, tabindex: 0, role: "slider", ...limits };
    const node = add(points, "circle", { ...looks, "aria-label": `example ${i + 1}` });
    node.addEventListener("keydown", (event) => {
      if (event.key in STEPS) move(i, model.get("x")[i] + STEPS[event.key]);
      else if (event.key === "Home") move(i, LOW);
      else if (event.key === "End") move(i, HIGH);
      else return;
      event.preventDefault();
      event.stopPropagation(); // a notebook has keys of its own
    });
    node.addEventListener("pointerdown", (event) => {
      node.setPointerCapture(event.pointerId);
      node.focus();
    });
    node.addEventListener("pointermove", (event) => {
      if (!node.hasPointerCapture(event.pointerId)) return;
      const px = event.clientX - svg.getBoundingClientRect().left;
      move(i, LOW + ((px - MARGIN) / (width - 2 * MARGIN)) * (HIGH - LOW));
    });
  }

  // Sliders, buttons and the table of numbers under the picture.
  const row = (text) => add(el, "div", { class: "bn-controls" }, text);
  const controls = row("");
  const sliders = [
    ["γ", "gamma", 0, 8],
    ["β", "beta", -4, 16],
    ["ε", "eps", -5, 3], // its logarithm
  ].map(([label, name, min, max]) => {
    const box = add(controls, "label", {}, label);
    const input = add(box, "input", { type: "range", min, max, step: name === "eps" ? 0.5 : 0.1 });
    const value = add(box, "output");
    const set = () => Number(name === "eps" ? 10 ** input.value : input.value);
    input.addEventListener("input", () => change({ [name]: set() }));
    return () => {
      input.value = name === "eps" ? Math.log10(model.get(name)) : model.get(name);
      value.textContent = format(model.get(name));
    };
  });
  const button = (parent, text, values) => {
    const node = add(parent, "button", { type: "button" }, text);
    node.addEventListener("click", () => change(values(state())));
    return node;
  };
  const tries = row("Try this:");
  button(tries, "one outlier", () => ({ ...START, x: [1, 2, 3, 20] }));
  button(tries, "one example left", ({ x }) => ({ x: [x[0]] }));
  button(tries, "undo it: γ = σ, β = μ", (now) => {
    const { mean, variance } = normalize(now);
    return { gamma: Math.sqrt(variance + now.eps), beta: mean };
  });
  button(tries, "reset", () => START);
  const count = row("Examples:");
  const more = button(count, "add", ({ x }) => ({ x: [...x, (5 * x.length) % HIGH] }));
  const fewer = button(count, "remove", ({ x }) => ({ x: x.slice(0, -1) }));
  const scroll = { class: "bn-scroll", tabindex: 0, role: "region", "aria-label": "the numbers" };
  const table = add(add(el, "div", scroll), "table");

  function drawLines() {
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    back.replaceChildren();
    for (const [name, y] of Object.entries({ x: TOP, y: BOTTOM })) {
      add(back, "path", { class: "bn-line", d: `M${MARGIN} ${y}H${width - MARGIN}` });
      add(back, "text", { class: "bn-name", x: 4, y: y + 5 }, name);
      for (let v = 0; v <= HIGH; v += 5)
        add(back, "path", { class: "bn-line", d: `M${place(v)} ${y - 4}v8` });
    }
    for (let v = 0; v <= HIGH; v += 5) {
      add(back, "text", { x: place(v), y: BOTTOM + 26, "text-anchor": "middle" }, v);
    }
  }
  function draw() {
    const { x, ...rest } = state();
    const { mean, variance, xHat, y } = normalize({ x, ...rest });
    const sigma = Math.sqrt(variance);
    spread.setAttribute("x", place(mean - sigma));
    spread.setAttribute("width", place(mean + sigma) - place(mean - sigma));
    fulcrum.setAttribute("d", `M${place(mean)} ${TOP + 14}l9 16h-18z`);
    words.textContent = `mean ${mean.toFixed(1)}, spread ${sigma.toFixed(1)}`;
    words.setAttribute("x", Math.min(width - 78, Math.max(78, place(mean))));

    while (points.children.length > x.length) points.lastChild.remove();
    while (points.children.length < x.length) point(points.children.length);
    threads.replaceChildren();
    x.forEach((v, i) => {
      add(threads, "path", { class: "bn-thread", d: `M${place(v)} ${TOP}L${place(y[i])} ${BOTTOM}` });
      add(threads, "circle", { class: "bn-out", r: 7, cx: place(y[i]), cy: BOTTOM });
      points.children[i].setAttribute("cx", place(v));
      points.children[i].setAttribute("aria-valuenow", v);
      points.children[i].setAttribute("aria-valuetext", `${v.toFixed(1)}, normalized ${y[i].toFixed(2)}`);
    });
    for (const show of sliders) show();
    more.disabled = x.length >= 8;
    fewer.disabled = x.length <= 1;
    table.replaceChildren();
    for (const [name, values, digits] of [
      ["x", x, 1],
      ["x̂", xHat, 2],
      ["y", y, 2],
    ]) {
      const line = add(table, "tr");
      add(line, "th", { scope: "row" }, name);
      for (const v of values) add(line, "td", {}, minus((Math.abs(v) < 0.005 ? 0 : v).toFixed(digits)));
    }
  }

  for (const name in START) model.on(`change:${name}`, draw);
  const resize = new ResizeObserver(([entry]) => {
    width = Math.max(280, Math.round(entry.contentRect.width));
    drawLines();
    draw();
  });
  resize.observe(el);
  drawLines();
  draw();
  return () => resize.disconnect();
}

export default { render };
