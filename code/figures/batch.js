// A batch, normalized. Two number lines: x above, y = gamma * x_hat + beta below, a thread from each
// example to its image. Drag an example, or focus it and use the arrow keys.

const [LOW, HIGH, TOP, BOTTOM, HEIGHT, MARGIN] = [-4, 20, 64, 196, 236, 22];
const START = { x: [1, 7, 9, 15], gamma: 1, beta: 0, eps: 1e-5 };
const STEPS = { ArrowRight: 0.1, ArrowUp: 0.1, ArrowLeft: -0.1, ArrowDown: -0.1, PageUp: 1, PageDown: -1 };

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
const format = (v) => minus(v > 0 && v < 0.01 ? v.toExponential(0) : v.toFixed(1));

function render({ model, el }) {
  const state = () => Object.fromEntries(Object.keys(START).map((name) => [name, model.get(name)]));
  const change = (values) => {
    for (const name in values) model.set(name, values[name]);
    model.save_changes();
  };
  const slider = (label, min, max, step) =>
    `<label>${label}<input type="range" min="${min}" max="${max}" step="${step}"><output></output></label>`;
  const buttons = Object.keys(BUTTONS).map((text) => `<button type="button">${text}</button>`);
  el.classList.add("bn-figure");
  el.innerHTML = `<svg role="group" aria-label="A batch and the normalized batch">
      <rect class="bn-band" y="${TOP - 20}" height="40"/><g aria-hidden="true"></g><g></g>
      <path class="bn-fulcrum"/><text class="bn-words" y="22"></text><g></g>
    </svg>
    <div class="bn-controls">${slider("γ", 0, 8, 0.1)}${slider("β", -4, 16, 0.1)}${slider("ε", -5, 3, 0.5)}</div>
    <div class="bn-controls">Try this: ${buttons.slice(0, 4).join("")}</div>
    <div class="bn-controls">Examples: ${buttons.slice(4).join("")}</div>
    <div class="bn-scroll" tabindex="0" role="region" aria-label="the numbers"><table></table></div>`;
  const [svg, spread, fulcrum, words, table] = ["svg", "rect", "path", "text", "table"].map((s) =>
    el.querySelector(s),
  );
  const [back, threads, points] = svg.querySelectorAll("g");
  const sliders = el.querySelectorAll("input");
  ["gamma", "beta", "eps"].forEach((name, i) => {
    const set = (v) => change({ [name]: name === "eps" ? 10 ** v : v }); // the slider of eps is its logarithm
    sliders[i].addEventListener("input", () => set(Number(sliders[i].value)));
  });
  for (const button of el.querySelectorAll("button")) {
    button.addEventListener("click", () => change(BUTTONS[button.textContent](state())));
  }

  let width = 640;
  const place = (v) => MARGIN + ((width - 2 * MARGIN) * (v - LOW)) / (HIGH - LOW);
  const move = (i, v) =>
    change({ x: model.get("x").with(i, Math.min(HIGH, Math.max(LOW, Math.round(v * 10) / 10))) });
  function point(i) {
    points.insertAdjacentHTML(
      "beforeend",
      `<circle class="bn-in" r="10" cy="${TOP}" tabindex="0" role="slider" aria-label="example ${i + 1}"
        aria-valuemin="${LOW}" aria-valuemax="${HIGH}"/>`,
    );
    const node = points.lastChild;
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

  function drawLines() {
    const ticks = [0, 5, 10, 15, 20].map(place);
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    const line = (name, y) => `<text class="bn-name" x="4" y="${y + 5}">${name}</text>
      <path class="bn-line" d="M${MARGIN} ${y}H${width - MARGIN}${ticks.map((x) => `M${x} ${y - 4}v8`).join("")}"/>`;
    const numbers = ticks.map(
      (x, i) => `<text x="${x}" y="${BOTTOM + 26}" text-anchor="middle">${5 * i}</text>`,
    );
    back.innerHTML = line("x", TOP) + line("y", BOTTOM) + numbers.join("");
  }
  function draw() {
    const now = state();
    const { x } = now;
    const { mean, variance, xHat, y } = normalize(now);
    const sigma = Math.sqrt(variance);
    spread.setAttribute("x", place(mean - sigma));
    spread.setAttribute("width", place(mean + sigma) - place(mean - sigma));
    fulcrum.setAttribute("d", `M${place(mean)} ${TOP + 14}l9 16h-18z`);
    words.textContent = `mean ${mean.toFixed(1)}, spread ${sigma.toFixed(1)}`;
    words.setAttribute("x", Math.min(width - 78, Math.max(78, place(mean))));

    while (points.children.length > x.length) points.lastChild.remove();
    while (points.children.length < x.length) point(points.children.length);
    x.forEach((v, i) => {
      points.children[i].setAttribute("cx", place(v));
      points.children[i].setAttribute("aria-valuenow", v);
      points.children[i].setAttribute("aria-valuetext", `${v.toFixed(1)}, normalized ${y[i].toFixed(2)}`);
    });
    const thread = (v, i) => `<path class="bn-thread" d="M${place(v)} ${TOP}L${place(y[i])} ${BOTTOM}"/>
      <circle class="bn-out" r="7" cx="${place(y[i])}" cy="${BOTTOM}"/>`;
    threads.innerHTML = x.map(thread).join("");
    [now.gamma, now.beta, Math.log10(now.eps)].forEach((v, i) => {
      sliders[i].value = v;
      sliders[i].nextSibling.textContent = format(i < 2 ? v : now.eps);
    });
    const [more, fewer] = [...el.querySelectorAll("button")].slice(4);
    more.disabled = x.length >= 8;
    fewer.disabled = x.length <= 1;
    const row = (name, values, digits) => {
      const cells = values.map((v) => `<td>${minus((Math.abs(v) < 0.005 ? 0 : v).toFixed(digits))}</td>`);
      return `<tr><th scope="row">${name}</th>${cells.join("")}</tr>`;
    };
    table.innerHTML = row("x", x, 1) + row("x̂", xHat, 2) + row("y", y, 2);
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
