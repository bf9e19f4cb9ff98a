// The steps of the computation: a graph of batch norm on four examples. Values go down in blue,
// gradients come up in purple. The formulas shown are those computed.

const START = { x: [1, 7, 9, 15], dy: [1, 0, 0, 0], gamma: 2, beta: -1, eps: 1e-5, step: 1 };
const TRAITS = { x: "x", "dL/dy": "dy", γ: "gamma", β: "beta" };
const ROWS = ["x", "μ", "c", "σ²", "x̂", "γ β", "y"];
const EACH = [0, 1, 2, 3];

// Words and formulas of each step. A formula without Σ is for each example.
const STEPS = `Four examples.
Their mean: here the examples meet.|Σ(x) / 4 = μ
All four get it back: c is x, centred.|x − μ = c
The mean of c²: they meet again.|Σ(c²) / 4 = σ²
All four get it back.|c / √(σ²+ε) = x̂
Scale and shift, the same for all four.|x̂ · γ + β = y
Now back. Purple: how the loss L changes with a number; given for y.
γ and β served all four: sums.|Σ(dL/dy · x̂) = dL/dγ|Σ(dL/dy) = dL/dβ
Back through the scale.|dL/dy · γ = dL/dx̂
σ² served all four: a sum.|−Σ(dL/dx̂ · x̂) / 2 / (σ²+ε) = dL/dσ²
Two paths: ① direct, ② by σ².|dL/dx̂ / √(σ²+ε) = ①|c/2 · dL/dσ² = ②|① + ② = dL/dc
μ served all four: a sum. By σ² comes 0, as c sums to 0.|−Σ(①) − Σ(②) = dL/dμ|dL/dμ / 4 = ③
Three paths. ④ Shifting x changes no y, ⑤ nor does stretching, but for ε.|① + ② + ③ = dL/dx|Σ(dL/dx) = ④|Σ(dL/dx · x̂) = ⑤`;

// A child of `parent`; what is in an <svg> is of the SVG namespace.
function add(parent, tag, attributes = {}, text = "") {
  const space = tag === "svg" ? "http://www.w3.org/2000/svg" : parent.namespaceURI;
  const node = document.createElementNS(space, tag);
  for (const name in attributes) node.setAttribute(name, attributes[name]);
  node.textContent = text;
  parent.append(node);
  return node;
}

// A formula with `show(symbol, i)` for symbols.
function fill(text, show, i) {
  const sum = (_, term) => `(${EACH.map((k) => fill(term, show, k)).join(" + ")})`;
  text = text.replace(/Σ\((.*?)\)/g, sum).replace(/(dL.d)?(σ²|x̂|[xμcγβy①-⑤])/g, (k) => show(k, i));
  return text.replace(/([·−] )(−[\d.]+)|^(−.*)(?=²)/g, "$1($2$3)").replaceAll("+ −", "− ");
}

// The value of a formula of numbers.
function value(text) {
  const inner = (_, root, u) => value(u) ** (root ? 0.5 : 1);
  while (text.includes("(")) text = text.replace(/(√?)\(([^()]*)\)/, inner);
  const [, a, sign, b] = text.match(/(.*)([+−])(.*)/) ?? text.match(/(.*)([·/])(.*)/) ?? [];
  if (!sign) return parseFloat(text) ** (/²/.test(text) ? 2 : 1) || 0;
  const [u, v] = [value(a), value(b)];
  return { "+": u + v, "−": u - v, "·": u * v, "/": u / v }[sign];
}

function render({ model, el }) {
  const [d, shows] = [{}, []];
  const at = (symbol, i) => d[symbol][i] ?? d[symbol][0];
  const show = (symbol, i) => {
    const digits = Math.abs(at(symbol, i)) > 999 ? 0 : /[d①-⑤]/.test(symbol) ? 3 : 2;
    return (+at(symbol, i).toFixed(digits) + 0).toFixed(digits).replace("-", "−");
  };
  const change = (values) => {
    for (const name in values) model.set(name, values[name]);
    model.save_changes();
  };
  el.classList.add("bn-figure", "bn-steps");
  ROWS.forEach((symbols, r) => {
    const row = add(el, "div", {}, symbols);
    shows.push((step) => {
      row.className = step < Math.min(5, r) ? "" : step < 12 - r ? "bn-done" : "bn-back";
      row.classList.toggle("bn-now", [Math.min(5, r), 12 - r].includes(step));
    });
    for (const symbol of symbols.split(" "))
      for (const i of /[μσγβ]/.test(symbol) ? [0] : EACH) {
        const node = add(row, "span");
        for (const name of [symbol, `dL/d${symbol}`]) {
          const trait = TRAITS[name];
          const own = { type: "number", step: "any", "aria-live": "off", "aria-label": `${name} ${i + 1}` };
          const field = add(node, trait ? "input" : "output", own);
          shows.push(() => (field.value = trait ? at(name, i) : show(name, i)));
          field.addEventListener("change", () => {
            const all = d[name].with(i, Number(field.value));
            change({ [trait]: all.length > 1 ? all : all[0] });
          });
        }
      }
  });
  const side = add(el, "div", { class: "bn-controls" });
  const button = (text, action) => add(side, "button", {}, text).addEventListener("click", action);
  const go = () => change({ step: Number(range.value) });
  button("← back", () => go(range.stepDown()));
  button("next →", () => go(range.stepUp()));
  button("reset", () => change(START));
  const range = add(side, "input", { type: "range", max: 12, "aria-label": "step" });
  range.addEventListener("input", go);
  const told = add(side, "div", { "aria-live": "polite" });

  function draw() {
    const step = model.get("step");
    for (const symbol in TRAITS) d[symbol] = [model.get(TRAITS[symbol])].flat();
    told.replaceChildren();
    STEPS.split("\n").forEach((text, k) => {
      for (const line of text.split("|")) {
        const [left, result] = line.split(" = ");
        const examples = !result ? [] : /Σ/.test(left) ? [0] : EACH;
        d[result] = examples.map((i) => value(fill(left, at, i).replace("ε", model.get("eps"))));
        if (k === step)
          for (const words of [line, ...examples.map((i) => fill(line, show, i))])
            told.innerHTML += `<p><b>${words.replaceAll(examples[1] ? " " : "\n", "</b> <b>")}</b></p>`;
      }
    });
    range.value = step;
    shows.forEach((f) => f(step));
  }
  for (const name in START) model.on(`change:${name}`, draw);
  draw();
}

export default { render };
