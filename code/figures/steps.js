// The steps of the computation: the graph of batch norm on four examples. Values go down in blue,
// gradients of a loss L come up in purple, and beside the graph stand the formulas of the step.

const START = { x: [1, 7, 9, 15], dy: [1, 0, 0, 0], gamma: 2, beta: -1, eps: 1e-5, step: 1 };
const TRAITS = { x: "x", "dL/dy": "dy", γ: "gamma", β: "beta" };
const ROWS = { x: 4, μ: 1, c: 4, "σ²": 1, x̂: 4, "γ β": 2, y: 4 }; // how many nodes
const PLACES = { 1: [1.5], 2: [0.5, 2.5], 4: [0, 1, 2, 3] };
const EDGES = ["01", "02", "12", "23", "24", "34", "46", "56"];

const sum = (values) => values.reduce((total, v) => total + v, 0);
const product = (a, b) => a.map((v, i) => v * b[i]);

// All values and gradients by their symbols. ① to ③ are the three paths from the loss to x.
function compute({ x, dy, gamma, beta, eps }) {
  const d = { x, "dL/dy": dy, γ: [gamma], β: [beta] };
  d.μ = [sum(x) / 4];
  d.c = x.map((v) => v - d.μ[0]);
  d["σ²"] = [sum(product(d.c, d.c)) / 4];
  const sigma = Math.sqrt(d["σ²"][0] + eps);
  d.x̂ = d.c.map((v) => v / sigma);
  d.y = d.x̂.map((v) => gamma * v + beta);
  d["dL/dγ"] = [sum(product(dy, d.x̂))];
  d["dL/dβ"] = [sum(dy)];
  d["dL/dx̂"] = dy.map((v) => v * gamma);
  d["dL/dσ²"] = [-sum(product(d["dL/dx̂"], d.x̂)) / 2 / sigma ** 2];
  d["①"] = d["dL/dx̂"].map((v) => v / sigma);
  d["②"] = d.c.map((v) => (v / 2) * d["dL/dσ²"][0]);
  d["dL/dc"] = d["①"].map((v, i) => v + d["②"][i]);
  d["dL/dμ"] = [-sum(d["①"]) - sum(d["②"])];
  d["③"] = [d["dL/dμ"][0] / 4];
  d["dL/dx"] = d["dL/dc"].map((v) => v + d["③"][0]);
  d["④"] = [sum(d["dL/dx"])];
  d["⑤"] = [sum(product(d["dL/dx"], d.x̂))];
  return d;
}

// A formula with numbers, as `show(symbol, i)` gives them, for its symbols.
function fill(text, show, i) {
  const terms = (_, term) => `(${[0, 1, 2, 3].map((k) => fill(term, show, k)).join(" + ")})`;
  text = text
    .replace(/Σ\((.*?)\)/g, terms)
    .replace(/(dL.d)?(σ²|x̂|[xμcγβy①-⑤])/g, (symbol) => show(symbol, i));
  // A negative number is put in parentheses after · and −, and before ².
  return text.replace(/([·−] )(−[\d.]+)|^(−.*)(?=²)/g, "$1($2$3)").replaceAll("+ −", "− ");
}

function render({ model, el }) {
  const nodes = Object.values(ROWS).map((count) => PLACES[count]);
  const node = (name, i) => {
    const own = `aria-label="${name} ${i + 1}"`;
    return name in TRAITS
      ? `<input type="number" step="any" ${own}>`
      : `<output aria-live="off" ${own}></output>`;
  };
  const row = ([symbols, count]) => {
    const pair = (_, k) => {
      const [symbol, i] = count === 2 ? [symbols.split(" ")[k], 0] : [symbols, k];
      return `<span>${node(symbol, i)}${node(`dL/d${symbol}`, i)}</span>`;
    };
    return `<div data-nodes="${count}">${symbols}${PLACES[count].map(pair).join("")}</div>`;
  };
  const edge = (name) => {
    const [a, b] = [...name].map(Number);
    const lines = nodes[a].flatMap((from) =>
      nodes[b]
        .filter((to) => from === to || nodes[a].length !== nodes[b].length)
        .map((to) => {
          const [x1, x2, y1, y2] = [74 + 76 * from, 74 + 76 * to, 64 * a + 38, 64 * b];
          return `M${x1} ${y1}C${x1} ${y2} ${x2} ${y1} ${x2} ${y2}`;
        }),
    );
    return `<path data-edge="${name}" d="${lines.join("")}"/>`;
  };
  el.classList.add("bn-figure", "bn-steps");
  el.innerHTML = `<svg class="bn-edges" aria-hidden="true">${EDGES.map(edge).join("")}</svg>
    ${Object.entries(ROWS).map(row).join("")}
    <div class="bn-controls">
      <button type="button">← back</button><button type="button">next →</button><button type="button">reset</button>
      <input type="range" max="12" aria-label="step"><div aria-live="polite"></div>
    </div>`;
  const change = (values) => {
    for (const name in values) model.set(name, values[name]);
    model.save_changes();
  };
  for (const field of el.querySelectorAll("[type=number]")) {
    field.onchange = () => {
      const [name, i] = field.ariaLabel.split(" ");
      const old = model.get(TRAITS[name]);
      const value = Math.min(999, Math.max(-999, Number(field.value)));
      if (field.value) change({ [TRAITS[name]]: Array.isArray(old) ? old.with(i - 1, value) : value });
      draw(); // so that what is no number gives way to the old value
    };
  }
  const range = el.querySelector("[type=range]");
  range.oninput = () => change({ step: Number(range.value) });
  const [back, next, reset] = el.querySelectorAll("button");
  const move = (by) => change({ step: Math.min(12, Math.max(0, model.get("step") + by)) });
  back.onclick = () => move(-1);
  next.onclick = () => move(1);
  reset.onclick = () => change(START);

  function draw() {
    const state = Object.fromEntries(Object.keys(START).map((name) => [name, model.get(name)]));
    const { step } = state;
    const values = compute(state);
    const show = (symbol, i) => {
      const v = values[symbol][i] ?? values[symbol][0];
      const digits = Math.abs(v) > 999 ? 0 : /[d①-⑤]/.test(symbol) ? 3 : 2;
      return (Number(v.toFixed(digits)) + 0).toFixed(digits).replace("-", "−");
    };
    // What is reached at one step on the way forward and at another on the way back.
    const mark = (node, forward, backward) => {
      node.classList.toggle("bn-done", step >= forward);
      node.classList.toggle("bn-back", step >= backward);
      node.classList.toggle("bn-now", step === forward || step === backward);
    };
    el.querySelectorAll("[data-nodes]").forEach((node, r) => mark(node, Math.min(5, r), 12 - r));
    for (const node of el.querySelectorAll("[data-edge]")) {
      const [a, b] = node.dataset.edge;
      mark(node, Math.min(5, b), 12 - a);
    }
    for (const field of el.querySelectorAll("span > *")) {
      const [name, i] = field.ariaLabel.split(" ");
      field.value = name in TRAITS ? values[name][i - 1] : show(name, i - 1);
    }
    range.value = step;
    const [words, ...formulas] = model.get("told")[step];
    const cells = (text) => `<p><b>${text.replaceAll(" ", "</b> <b>")}</b></p>`;
    const lines = formulas.map((formula) => {
      if (formula.includes("Σ")) return `<p>${formula}</p><p>${fill(formula, show, 0)}</p>`;
      return [formula, ...[0, 1, 2, 3].map((i) => fill(formula, show, i))].map(cells).join("");
    });
    el.querySelector("[aria-live=polite]").innerHTML = `<p>Step ${step} of 12. ${words}</p>${lines.join("")}`;
  }
  for (const name in START) model.on(`change:${name}`, draw);
  draw();
}

export default { render };
