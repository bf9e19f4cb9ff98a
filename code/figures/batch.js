// A batch, normalized. Three number lines: x, x_hat and y = gamma * x_hat + beta, and a thread for each
// example through all of them. The examples are range inputs that lie one over the other.

const [LOW, HIGH, MOST] = [-4, 20, 8]; // limits of x, and of their number
const START = { x: [1, 7, 9, 15], gamma: 1, beta: 0, eps: 1e-5 };

// The same formula as code/bn.py, which a browser test holds it to.
function normalize({ x, gamma, beta, eps }) {
  const mean = x.reduce((sum, v) => sum + v, 0) / x.length;
  const variance = x.reduce((sum, v) => sum + (v - mean) ** 2, 0) / x.length;
  const xHat = x.map((v) => (v - mean) / Math.sqrt(variance + eps));
  return { mean, variance, xHat, y: xHat.map((v) => gamma * v + beta) };
}

// What the buttons set, given the state.
const BUTTONS = {
  "one outlier": () => ({ ...START, x: [1, 2, 3, 20] }),
  "one example left": ({ x }) => ({ x: [x[0]] }),
  "undo it: γ = σ, β = μ": (state) => {
    const { mean, variance } = normalize(state);
    return { gamma: Math.sqrt(variance + state.eps), beta: mean };
  },
  "add an example": ({ x }) => ({ x: [...x, (5 * x.length) % HIGH] }),
  "remove one": ({ x }) => ({ x: x.slice(0, -1) }),
  reset: () => START,
};

const slider = (text, name, limits) =>
  `<label>${text}<input type="range" name="${name}" ${limits}><output></output></label>`;
const button = (name) => `<button type="button" name="${name}">${name}</button>`;
const path = (kind, d) => `<path class="bn-${kind}" d="${d}"/>`;
const label = (v, y, text) => `<i style="--x:${(100 * (v - LOW)) / (HIGH - LOW)}%;top:${y}px">${text}</i>`;
const write = (v, digits) => (Math.abs(v) < 0.005 ? 0 : v).toFixed(digits).replace("-", "−");

function render({ model, el }) {
  const state = () => Object.fromEntries(Object.keys(START).map((name) => [name, model.get(name)]));
  const change = (values) => {
    for (const name in values) model.set(name, values[name]);
    model.save_changes();
  };
  el.classList.add("bn-figure");
  el.innerHTML = `<form method="dialog"><div class="bn-beads bn-batch"><div></div>
      ${`<input type="range" name="x" min="${LOW}" max="${HIGH}" step="0.1">`.repeat(MOST)}</div>
    <div class="bn-controls">${slider("γ", "gamma", 'max="12" step="0.1"')}
      ${slider("β", "beta", 'min="-4" max="20" step="0.1"')}${slider("ε", "eps", 'min="-5" max="3" step="0.5"')}</div>
    <div class="bn-controls">Try this: ${Object.keys(BUTTONS).map(button).join("")}</div>
    <div class="bn-scroll" tabindex="0" role="region" aria-label="the numbers"><table></table></div></form>`;
  const form = el.firstChild;
  const [drawing] = form.firstChild.children;
  form.oninput = ({ target }) => {
    const v = Number(target.value);
    const x = model.get("x").with([...form.x].indexOf(target), v);
    change({ [target.name]: { x, eps: 10 ** v }[target.name] ?? v }); // the slider of eps is its logarithm
  };
  form.onclick = ({ target: { type, name } }) => {
    if (type === "button") change(BUTTONS[name](state()));
  };

  function draw() {
    const now = state();
    const { x, gamma, beta, eps } = now;
    const { mean, variance, xHat, y } = normalize(now);
    const sigma = Math.sqrt(variance);
    const thread = (v, i) => path("thread", `M${v} 64L${xHat[i]} 160 ${y[i]} 256`);
    const dot = (v, i) => `M${xHat[i]} 160h0M${y[i]} 256h0`;
    drawing.innerHTML = `<svg viewBox="${LOW} 0 ${HIGH - LOW} 290" height="290" preserveAspectRatio="none">
      ${path("band", `M${mean - sigma} 44V84H${mean + sigma}V44`)}${path("line", [64, 160, 256].map((y) => `M${LOW} ${y}h24`).join(""))}
      ${path("span", `M${mean} 36H${mean + sigma}M${mean} 32v8M${mean + sigma} 32v8`)}
      ${x.map(thread).join("")}${path("dots", x.map(dot).join(""))}</svg>
      ${label(mean, 84, `mean ${write(mean, 1)}`)}${label(mean + sigma / 2, 10, `spread ${write(sigma, 1)}`)}
      ${label(HIGH, 130, "normalize: (x − mean) / spread")}${label(HIGH, 172, "scale and shift: γ x̂ + β")}
      ${[0, 5, 10, 15, 20].map((v) => label(v, 256, v)).join("")}`;
    form.x.forEach((bead, i) => {
      bead.ariaLabel = `example ${i + 1}`;
      bead.hidden = i >= x.length;
      if (bead.hidden) return;
      bead.value = x[i];
      bead.ariaValueText = `${write(x[i], 1)}, normalized ${write(y[i], 2)}`;
    });
    const show = (input, v, text) => {
      input.value = v;
      input.ariaValueText = input.nextSibling.textContent = text;
    };
    show(form.gamma, gamma, write(gamma, 1));
    show(form.beta, beta, write(beta, 1));
    show(form.eps, Math.log10(eps), eps.toExponential(1).replace("-", "−"));
    const [, , undo, more, fewer] = form.querySelectorAll("button");
    more.disabled = x.length >= MOST;
    undo.disabled = fewer.disabled = x.length < 2;
    const row = (name, values, digits) =>
      `<tr><th scope="row">${name}</th>${values.map((v) => `<td>${write(v, digits)}</td>`).join("")}</tr>`;
    form.querySelector("table").innerHTML = row("x", x, 1) + row("x̂", xHat, 2) + row("y", y, 2);
  }
  for (const name in START) model.on(`change:${name}`, draw);
  draw();
}

export default { render };
