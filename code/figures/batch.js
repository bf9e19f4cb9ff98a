// A batch, normalized. Two number lines: x above, y = gamma * x_hat + beta below, a thread
// from each example to its image. Drag an example, or focus it and use the arrow keys.

const LOW = -4,
  HIGH = 20,
  TOP = 64,
  BOTTOM = 196,
  HEIGHT = 236,
  MARGIN = 22;
const START = { x: [1, 7, 9, 15], gamma: 1, beta: 0, eps: 1e-5 };

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

function render({ model, el }) {
  const state = () => ({
    x: model.get("x"),
    gamma: model.get("gamma"),
    beta: model.get("beta"),
    eps: model.get("eps"),
  });
  const change = (values) => {
    for (const [name, value] of Object.entries(values)) model.set(name, value);
    model.save_changes();
  };

  el.classList.add("bn-figure");
  const svg = add(el, "svg", { role: "group", "aria-label": "A batch and the normalized batch" });
  const spread = add(svg, "rect", { class: "bn-band", y: TOP - 20, height: 40 });
  const lines = [TOP, BOTTOM].map(() => add(svg, "path", { class: "bn-line" }));
  const ticks = add(svg, "g", { "aria-hidden": "true" });
  const threads = add(svg, "g");
  const fulcrum = add(svg, "path", { class: "bn-fulcrum" });
  const words = add(svg, "text", { class: "bn-words", y: 22 });
  const names = ["x", "y"].map((name) => add(svg, "text", { class: "bn-name" }, name));
  const points = add(svg, "g");

  let width = 640;
  const place = (v) => MARGIN + ((width - 2 * MARGIN) * (v - LOW)) / (HIGH - LOW);
  const clamp = (v) => Math.min(HIGH, Math.max(LOW, Math.round(v * 10) / 10));
  const move = (i, v) => {
    const x = [...model.get("x")];
    x[i] = clamp(v);
    change({ x });
  };

  function point(i) {
    const node = add(points, "circle", {
      class: "bn-in",
      r: 10,
      cy: TOP,
      tabindex: 0,
      role: "slider",
      "aria-label": `example ${i + 1}`,
      "aria-valuemin": LOW,
      "aria-valuemax": HIGH,
    });
    const steps = {
      ArrowRight: 0.1,
      ArrowUp: 0.1,
      ArrowLeft: -0.1,
      ArrowDown: -0.1,
      PageUp: 1,
      PageDown: -1,
    };
    node.addEventListener("keydown", (event) => {
      if (event.key in steps) move(i, model.get("x")[i] + steps[event.key]);
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
    return node;
  }

  // Sliders, buttons and the table of numbers under the picture.
  const controls = add(el, "div", { class: "bn-controls" });
  function slider(label, min, max, step, get, set) {
    const box = add(controls, "label", {}, `${label} `);
    const input = add(box, "input", { type: "range", min, max, step });
    const value = add(box, "output");
    input.addEventListener("input", () => set(Number(input.value)));
    return () => {
      input.value = get();
      value.textContent = ` ${format(label === "ε" ? model.get("eps") : get())}`;
    };
  }
  const format = (v) => (v > 0 && v < 0.01 ? v.toExponential(0) : v.toFixed(1)).replace("-", "−");
  const sliders = [
    slider(
      "γ",
      0,
      8,
      0.1,
      () => model.get("gamma"),
      (gamma) => change({ gamma }),
    ),
    slider(
      "β",
      -4,
      16,
      0.1,
      () => model.get("beta"),
      (beta) => change({ beta }),
    ),
    slider(
      "ε",
      -5,
      3,
      0.5,
      () => Math.log10(model.get("eps")),
      (k) => change({ eps: 10 ** k }),
    ),
  ];
  let buttons = add(el, "div", { class: "bn-controls" });
  const button = (text, action) => {
    const node = add(buttons, "button", { type: "button" }, text);
    node.addEventListener("click", action);
    return node;
  };
  add(buttons, "span", {}, "Try this:");
  button("one outlier", () => change({ ...START, x: [1, 2, 3, 20] }));
  button("one example left", () => change({ x: [model.get("x")[0]] }));
  button("undo it: γ = σ, β = μ", () => {
    const { mean, variance } = normalize(state());
    change({ gamma: Math.sqrt(variance + model.get("eps")), beta: mean });
  });
  button("reset", () => change(START));
  buttons = add(el, "div", { class: "bn-controls" });
  add(buttons, "span", {}, "Examples:");
  const more = button("add", () => change({ x: [...model.get("x"), (5 * model.get("x").length) % HIGH] }));
  const fewer = button("remove", () => change({ x: model.get("x").slice(0, -1) }));
  const table = add(
    add(el, "div", { class: "bn-scroll", tabindex: 0, role: "region", "aria-label": "the numbers" }),
    "table",
  );

  function draw() {
    const { x, gamma, beta, eps } = state();
    const { mean, variance, xHat, y } = normalize({ x, gamma, beta, eps });
    const sigma = Math.sqrt(variance);
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    svg.setAttribute("height", HEIGHT);
    lines.forEach((line, k) => line.setAttribute("d", `M${MARGIN} ${[TOP, BOTTOM][k]}H${width - MARGIN}`));
    names.forEach((name, k) => {
      name.setAttribute("x", 4);
      name.setAttribute("y", [TOP, BOTTOM][k] + 5);
    });
    ticks.replaceChildren();
    for (let v = 0; v <= HIGH; v += 5) {
      for (const line of [TOP, BOTTOM]) {
        add(ticks, "path", { class: "bn-line", d: `M${place(v)} ${line - 4}v8` });
      }
      add(ticks, "text", { x: place(v), y: BOTTOM + 26, "text-anchor": "middle" }, String(v));
    }
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
      const node = points.children[i];
      node.setAttribute("cx", place(v));
      node.setAttribute("aria-valuenow", v);
      node.setAttribute("aria-valuetext", `${v.toFixed(1)}, normalized ${y[i].toFixed(2)}`);
    });

    sliders.forEach((show) => show());
    more.disabled = x.length >= 8;
    fewer.disabled = x.length <= 1;
    table.replaceChildren();
    for (const [name, values, digits] of [
      ["x", x, 1],
      ["x̂", xHat, 2],
      ["y", y, 2],
    ]) {
      const row = add(table, "tr");
      add(row, "th", { scope: "row" }, name);
      values.forEach((v) =>
        add(row, "td", {}, (Math.abs(v) < 0.005 ? 0 : v).toFixed(digits).replace("-", "−")),
      );
    }
  }

  for (const name of ["x", "gamma", "beta", "eps"]) model.on(`change:${name}`, draw);
  const resize = new ResizeObserver(([entry]) => {
    width = Math.max(280, Math.round(entry.contentRect.width));
    draw();
  });
  resize.observe(el);
  draw();
  return () => resize.disconnect();
}

export default { render };
