// Down the depth: each rung is a layer, the input at the foot; variances left, gradients right.

const [BOTTOM, HEIGHT] = [400, 380];
const ENDS = [16, 8]; // powers of ten around 1
const TRY = { plain: 50, residual: 50, "residual + batch norm": 100, "batch norm": 50 };

const power = (k) => `10${`${k}`.replace(/./g, (c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] ?? "⁻")}`;
const format = (v) => (v ? v.toPrecision(3).replace(/e\+?(.*)/, (_, k) => ` · ${power(k)}`) : "below 10⁻³⁰");
const each = (list, f) => list.map(f).join("");

function render({ model, el }) {
  const data = model.get("data");
  const nets = Object.keys(data);
  const depths = Object.keys(data.plain.words).map(Number);
  const group = Math.random();
  const radio = (net) =>
    `<label data-net="${net}"><input type="radio" name="${group}" value="${net}">${net}</label>`;
  const button = (net) => `<button type="button" name="${net}">${net}, ${TRY[net]} layers</button>`;
  el.classList.add("bn-figure");
  el.innerHTML = `<fieldset class="bn-controls"><legend>Net:</legend>${each(nets, radio)}</fieldset>
    <div class="bn-controls"><label>depth <input type="range" max="${depths.length - 1}"><output aria-live="off"></output></label>
      <label>layer <input type="range" min="1"></label></div><p aria-live="polite"></p>
    <div class="bn-sides"><p aria-live="polite"></p><p aria-live="polite"></p></div>
    <svg role="img" aria-label="variances and gradients" class="bn-ladder"></svg>
    <div class="bn-controls">Try this: ${each(Object.keys(TRY), button)}</div>`;
  const [deep, at, text, up, down, svg] = el.querySelectorAll("[type=range], p, svg");

  const change = (...values) => {
    ["net", "depth", "layer"].forEach((name, i) => model.set(name, values[i]));
    model.save_changes();
  };
  el.oninput = () => change(el.querySelector(":checked").value, depths[deep.value], Number(at.value));
  el.onclick = ({ target: { name } }) => {
    if (name in TRY) change(name, TRY[name], 1);
  };
  svg.onpointermove = svg.onpointerdown = ({ clientY }) => {
    const { top } = svg.getBoundingClientRect();
    at.value = ((BOTTOM + top - clientY) / HEIGHT) * at.max + 0.5; // the slider clamps
    el.oninput();
  };

  let reach = 100; // px from the middle of a panel to its ends
  function draw() {
    const [net, depth] = [model.get("net"), model.get("depth")];
    const layer = Math.min(model.get("layer"), depth);
    const y = (i) => (-HEIGHT * (i + 0.5)) / depth;
    const shown = (name, k) => (k ? data[name].gradient[depth] : data[name].variance.slice(0, depth));
    const panel = (end, k) => {
      const x = (v) => Math.max(-reach - 20, Math.min(reach + 20, (reach * Math.log10(v)) / end));
      const values = shown(net, k);
      const points = (name) => shown(name, k).map((v, i) => [x(v), y(i)]);
      const line = (name) => `<path data-net="${name}" d="M${points(name).join("L")}"/>`;
      const tick = (p) => `<path class="bn-line" d="M${p * reach} 0v-${HEIGHT}"/>
        <text x="${p * reach}" y="20">${p ? power(p * end) : 1}</text>`;
      return `<g transform="translate(${(2 * k - 1) * (reach + 56)})">
        ${each([-1, 0, 1], tick)}${each(nets, line)}<g data-net="${net}">${line(net)}
        <path stroke-width="${Math.min(10, 300 / depth)}"
          d="${each(values, (v, i) => `M${x(values.at(-k))} ${y(i)}H${x(v)}`)}"/>
        <circle cx="${x(values[layer - 1])}" cy="${y(layer - 1)}" r="5"/></g></g>`;
    };
    svg.innerHTML = `<g transform="translate(${2 * reach + 80} ${BOTTOM})">${ENDS.map(panel).join("")}
      <path class="bn-line" d="M-999 ${y(layer - 1)}H999"/><text y="${y(layer - 1) - 4}">${layer}</text></g>`;
    el.querySelector(`[value="${net}"]`).checked = true;
    deep.value = depths.indexOf(depth);
    deep.ariaValueText = deep.nextSibling.textContent = `${depth} layers`;
    [at.max, at.value] = [depth, layer];
    const [variance, gradient] = [0, 1].map((k) => format(shown(net, k)[layer - 1]));
    text.textContent = `layer ${layer} of ${depth}: variance ${variance}, gradient ${gradient}`;
    [up.textContent, down.textContent] = data[net].words[depth];
  }
  for (const name of ["net", "depth", "layer"]) model.on(`change:${name}`, draw);
  const resize = new ResizeObserver(() => {
    reach = svg.clientWidth / 4 - 40;
    draw();
  });
  resize.observe(el);
  return () => resize.disconnect();
}

export default { render };
