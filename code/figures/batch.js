// A batch, normalized. Three number lines: x, x_hat and y = gamma * x_hat + beta, and a thread for each
// example through all of them. The examples are range inputs that lie one over the other.

const [LOW, HIGH, MOST] = [-4, 20, 8]; // limits of x, and of their number
const ADDED = [10, 5, 14, 12, 4, 18, -2]; // what is added to one example, to two, ...
const NAMES = ["x", "gamma", "beta", "eps"];

// The same formula as code/bn.py, which a browser test holds it to.
function normalize({ x, gamma, beta, eps }) {
  const mean = x.reduce((sum, v) => sum + v, 0) / x.length;
  const variance = x.reduce((sum, v) => sum + (v - mean) ** 2, 0) / x.length;
  const scale = Math.sqrt(variance + eps);
  const xHat = x.map((v) => (v - mean) / scale);
  return { mean, sigma: Math.sqrt(variance), scale, xHat, y: xHat.map((v) => gamma * v + beta) };
}

// What the buttons set, given the state; `start` is the one to begin with.
const BUTTONS = {
  "one outlier": (_, start) => ({ ...start, x: [1, 2, 3, 20] }),
  "one example left": ({ x }) => ({ x: [x[0]] }),
  "undo it: γ = σ, β = μ": (state) => {
    const { mean, scale } = normalize(state);
    return { gamma: scale, beta: mean };
  },
  "add an example": ({ x }) => ({ x: [...x, ADDED[x.length - 1]] }),
  "remove one": ({ x }) => ({ x: x.slice(0, -1) }),
  reset: (_, start) => start,
};

const each = (list, f) => list.map(f).join("");
const slider = (text, name, limits) =>
  `<label>${text}<input type="range" name="${name}" ${limits}><output aria-live="off"></output></label>`;
const button = (name) => `<button type="button" name="${name}">${name}</button>`;
const path = (kind, d) => `<path class="bn-${kind}" d="${d}"/>`;
const label = (v, y, text) => `<i style="--x:${(100 * (v - LOW)) / (HIGH - LOW)}%;top:${y}px">${text}</i>`;
const write = (v, digits = 1) => (Math.abs(v) < 0.005 ? 0 : v).toFixed(digits).replace("-", "−");
const power = (_, v, k) => (v > 1 ? `${v} · 10` : "10") + k.replace(/./g, (c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] ?? "⁻");

function render({ model, el }) {
  const state = () => Object.fromEntries(NAMES.map((name) => [name, model.get(name)]));
  const start = state();
  const change = (values) => {
    for (const name in values) model.set(name, values[name]);
    model.save_changes();
  };
  el.classList.add("bn-figure");
  const buttons = Object.keys(BUTTONS);
  el.innerHTML = `<form method="dialog"><div class="bn-beads bn-batch"><div></div>
      ${`<input type="range" name="x" min="${LOW}" max="${HIGH}" step="0.1">`.repeat(MOST)}</div>
    <div class="bn-controls">${slider("γ scale", "gamma", 'max="12" step="0.1"')}
      ${slider("β shift", "beta", 'min="-4" max="20" step="0.1"')}${slider("ε", "eps", 'min="-5" max="3"')}</div>
    <p aria-live="polite"></p>
    <div class="bn-controls">Try this: ${each(buttons.slice(0, 3), button)}</div><div class="bn-controls">${each(buttons.slice(3), button)}</div>
    <div class="bn-scroll" tabindex="0" role="region" aria-label="the numbers"><table></table></div></form>`;
  const form = el.firstChild;
  const [drawing] = form.firstChild.children;
  form.oninput = ({ target }) => {
    const v = Number(target.value);
    const x = model.get("x").with([...form.x].indexOf(target), v);
    change({ [target.name]: { x, eps: Number(`1e${v}`) }[target.name] ?? v }); // the slider of eps is its logarithm
  };
  form.onclick = ({ target: { type, name } }) => {
    if (type === "button") change(BUTTONS[name](state(), start));
  };

  function draw() {
    const now = state();
    const { x, gamma, beta, eps } = now;
    const { mean, sigma, scale, xHat, y } = normalize(now);
    const thread = (v, i) => path("thread", `M${v} 64L${xHat[i]} 160 ${y[i]} 256`);
    const dot = (v, i) => `M${xHat[i]} 160h0M${y[i]} 256h0`;
    const [least, most] = [Math.min(...y), Math.max(...y)];
    drawing.innerHTML = `<svg aria-hidden="true" viewBox="${LOW} 0 ${HIGH - LOW} 290" height="290" preserveAspectRatio="none">
      ${path("band", `M${mean - sigma} 44V84H${mean + sigma}V44`)}
      ${path("line", `M${LOW} 64h24M${LOW} 160h24M${LOW} 256h24`)}
      ${path("span", `M${mean} 36H${mean + sigma}M${mean} 32v8M${mean + sigma} 32v8`)}
      ${each(x, thread)}${path("dots", each(x, dot))}</svg>
      ${label(mean, 84, `mean μ ${write(mean)}`)}${label(mean + sigma / 2, 10, `spread σ ${write(sigma)}`)}
      ${label(HIGH, 130, "normalize: x̂ = (x − μ) / √(σ² + ε)")}${label(HIGH, 172, "scale and shift: y = γ x̂ + β")}
      ${label(LOW, 228, least < LOW ? `← ${write(least)}` : "")}
      ${label(HIGH, 228, most > HIGH ? `${write(most)} →` : "")}
      ${each([0, 5, 10, 15, 20], (v) => label(v, 256, v))}`;
    form.x.forEach((bead, i) => {
      bead.ariaLabel = `example ${i + 1}`;
      bead.hidden = i >= x.length;
      if (bead.hidden) return;
      bead.value = x[i];
      bead.ariaValueText = `x ${write(x[i])}, x̂ ${write(xHat[i], 2)}, y ${write(y[i], 2)}`;
    });
    const show = (input, v, text) => {
      input.value = v;
      input.ariaValueText = input.nextSibling.textContent = text;
    };
    show(form.gamma, gamma, write(gamma));
    show(form.beta, beta, write(beta));
    show(form.eps, Math.log10(eps), eps.toExponential().replace(/(.*)e\+?(.*)/, power));
    form.querySelector("p").textContent =
      `x: mean ${write(mean)}, spread ${write(sigma)}. ` +
      `y: mean ${write(beta)}, spread ${write(Math.abs(gamma / scale) * sigma)}.`;
    const [, , undo, more, fewer] = form.querySelectorAll("button");
    more.disabled = x.length >= MOST;
    undo.disabled = fewer.disabled = x.length < 2;
    const row = (name, values, digits) =>
      `<tr><th scope="row">${name}</th>${each(values, (v) => `<td>${write(v, digits)}</td>`)}</tr>`;
    form.querySelector("table").innerHTML = row("x", x, 1) + row("x̂", xHat, 2) + row("y", y, 2);
  }
  for (const name of NAMES) model.on(`change:${name}`, draw);
  draw();
}

export default { render };
