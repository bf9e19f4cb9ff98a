// A batch, normalized. Two number lines: x above, y = gamma * x_hat + beta below, a thread from each
// example to its image. The examples are range inputs that lie one over the other.

const [LOW, HIGH, TOP, BOTTOM, MOST] = [-4, 20, 64, 196, 8]; // limits of x; heights, px
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
  reset: () => START,
  add: ({ x }) => ({ x: [...x, (5 * x.length) % HIGH] }),
  remove: ({ x }) => ({ x: x.slice(0, -1) }),
};

const minus = (text) => text.replace("-", "−");
const format = (v, i) => minus(i === 2 ? v.toExponential(1) : v.toFixed(1)); // the third is ε
const share = (v) => (100 * (v - LOW)) / (HIGH - LOW); // of the width, in percent

function render({ model, el }) {
  const state = () => Object.fromEntries(Object.keys(START).map((name) => [name, model.get(name)]));
  const change = (values) => {
    for (const name in values) model.set(name, values[name]);
    model.save_changes();
  };
  const example = (_, i) =>
    `<input type="range" min="${LOW}" max="${HIGH}" step="0.1" aria-label="example ${i + 1}">`;
  const slider = (label, min, max, step) =>
    `<label>${label}<input type="range" min="${min}" max="${max}" step="${step}"><output aria-live="off"></output></label>`;
  const buttons = Object.keys(BUTTONS).map((text) => `<button type="button">${text}</button>`);
  el.classList.add("bn-figure");
  el.innerHTML = `<div class="bn-beads bn-batch"><svg height="230" aria-hidden="true"></svg>
      ${Array.from({ length: MOST }, example).join("")}</div>
    <div class="bn-controls">${slider("γ", 0, 12, 0.1)}${slider("β", -4, 20, 0.1)}${slider("ε", -5, 3, 0.5)}</div>
    <div class="bn-controls">Try this: ${buttons.slice(0, 4).join("")}</div>
    <div class="bn-controls">Examples: ${buttons.slice(4).join("")}</div>
    <div class="bn-scroll" tabindex="0" role="region" aria-label="the numbers"><table></table></div>`;
  const beads = el.querySelectorAll(".bn-beads input");
  beads.forEach((bead, i) => {
    bead.oninput = () => change({ x: model.get("x").with(i, Number(bead.value)) });
  });
  const sliders = el.querySelectorAll("label input");
  ["gamma", "beta", "eps"].forEach((name, i) => {
    const set = (v) => change({ [name]: i === 2 ? 10 ** v : v }); // the slider of eps is its logarithm
    sliders[i].oninput = () => set(Number(sliders[i].value));
  });
  for (const button of el.querySelectorAll("button")) {
    button.onclick = () => change(BUTTONS[button.textContent](state()));
  }

  function draw() {
    const now = state();
    const { x } = now;
    const { mean, variance, xHat, y } = normalize(now);
    const sigma = Math.sqrt(variance);
    const ticks = [0, 5, 10, 15, 20];
    const across = (from, to, top, bottom) =>
      `<line class="bn-line" x1="${from}%" x2="${to}%" y1="${top}" y2="${bottom}"/>`;
    const line = (name, y) => `<text class="bn-name" x="-20" y="${y + 5}">${name}</text>
      ${across(0, 100, y, y)}${ticks.map((v) => across(share(v), share(v), y - 4, y + 4)).join("")}`;
    const number = (v) => `<text x="${share(v)}%" y="${BOTTOM + 26}" text-anchor="middle">${v}</text>`;
    const thread = (v, i) => {
      const [from, to] = [share(v), share(y[i])];
      return `<line class="bn-thread" x1="${from}%" y1="${TOP}" x2="${to}%" y2="${BOTTOM}"/>
        <circle class="bn-out" r="7" cx="${to}%" cy="${BOTTOM}"/>`;
    };
    const band = [share(mean - sigma), share(mean + sigma)];
    el.querySelector("svg").innerHTML = `
      <rect class="bn-band" y="${TOP - 20}" height="40" x="${band[0]}%" width="${band[1] - band[0]}%"/>
      ${line("x", TOP)}${line("y", BOTTOM)}${ticks.map(number).join("")}${x.map(thread).join("")}
      <svg x="${share(mean)}%"><path class="bn-fulcrum" d="M0 ${TOP + 14}l9 16h-18z"/></svg>
      <text class="bn-words" x="${Math.min(88, Math.max(12, share(mean)))}%" y="22">
        mean ${mean.toFixed(1)}, spread ${sigma.toFixed(1)}</text>`;
    beads.forEach((bead, i) => {
      bead.hidden = i >= x.length;
      if (bead.hidden) return;
      bead.value = x[i];
      bead.ariaValueText = minus(`${x[i].toFixed(1)}, normalized `) + minus(y[i].toFixed(2));
    });
    [now.gamma, now.beta, now.eps].forEach((v, i) => {
      sliders[i].value = i === 2 ? Math.log10(v) : v;
      sliders[i].ariaValueText = sliders[i].nextSibling.textContent = format(v, i);
    });
    const [, , undo, , more, fewer] = el.querySelectorAll("button");
    more.disabled = x.length >= MOST;
    undo.disabled = fewer.disabled = x.length < 2;
    const row = (name, values, digits) => {
      const cells = values.map((v) => `<td>${minus((Math.abs(v) < 0.005 ? 0 : v).toFixed(digits))}</td>`);
      return `<tr><th scope="row">${name}</th>${cells.join("")}</tr>`;
    };
    el.querySelector("table").innerHTML = row("x", x, 1) + row("x̂", xHat, 2) + row("y", y, 2);
  }
  for (const name in START) model.on(`change:${name}`, draw);
  draw();
}

export default { render };
