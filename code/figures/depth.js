// Down the depth: a ladder for each net and direction; each rung is a layer, the input at the foot.

const MARGIN = 5; // px above and below a ladder

const power = (k) => `10${`${k}`.replace(/./g, (c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] ?? "⁻")}`;
const digits = (v) => (v > 1e-3 && v < 1e3 ? v.toPrecision(3) : v.toExponential(1));
const times = (v) => (v ? `×${digits(v).replace(/e\+?(.*)/, (_, k) => `·${power(k)}`)}` : `< ${power(-27)}`);
const each = (list, f) => list.map(f).join("");

function render({ model, el }) {
  const { nets, rows, said } = model.get("data");
  const names = Object.keys(nets);
  const depths = Object.keys(said).map(Number);
  const tick = (k) => `<span>${k ? power(k) : 1}</span>`;
  const cell = (net, end) => `<td data-net="${net}">
    <svg preserveAspectRatio="none" aria-hidden="true"><path/><path/><path/><path/></svg>
    <div aria-hidden="true">${each([-end, 0, end], tick)}</div><b></b> <small></small> <i></i></td>`;
  const row = ({ name, what, end }) => `<tbody>
    <tr><th colspan="${names.length}" scope="rowgroup">${name} <small>${what}</small></th></tr>
    <tr>${each(names, (net) => cell(net, end))}</tr></tbody>`;
  el.classList.add("bn-figure");
  el.innerHTML = `<label class="bn-deep">Depth <output aria-live="off"></output>
      <input type="range" max="${depths.length - 1}"></label><p aria-live="polite"></p>
    <table class="bn-ladders"><thead><tr>${each(names, (net) => `<th scope="col">${net}</th>`)}</tr></thead>
      ${each(rows, row)}</table>
    <div class="bn-controls"><label>Layer <input type="range" min="1"><output aria-live="off"></output></label></div>`;
  const [deep, at] = el.querySelectorAll("input");
  const [depthText, layerText] = el.querySelectorAll("output");
  const table = el.querySelector("table");

  const change = (name, value) => {
    model.set(name, value);
    model.save_changes();
  };
  deep.oninput = () => change("depth", depths[deep.value]);
  at.oninput = () => change("layer", Number(at.value));
  table.onpointermove = table.onpointerdown = ({ target, clientY }) => {
    const box = target.closest("svg")?.getBoundingClientRect();
    if (!box) return;
    const height = (box.bottom - MARGIN - clientY) / (box.height - 2 * MARGIN);
    at.value = Math.ceil(height * at.max); // the slider clamps
    at.oninput();
  };

  function draw() {
    const depth = model.get("depth");
    const layer = Math.min(model.get("layer"), depth);
    el.querySelectorAll("td").forEach((td, i) => {
      const backward = Math.floor(i / names.length);
      const net = nets[td.dataset.net];
      const values = backward ? net.gradient[depth] : net.variance.slice(0, depth);
      const x = (v) => Math.log10(v || 1e-99) / rows[backward].end;
      const ends = values.map((v, k) => `${x(v)} ${-k - 0.5}`);
      const [svg, , growth, theory, value] = td.children;
      svg.setAttribute("viewBox", `-1.25 ${-depth} 2.5 ${depth}`);
      svg.style.strokeWidth = Math.min(0.45, depth / 80);
      const line = (end, k) => `M0 ${-k - 0.5}H${parseFloat(end)}`;
      const axis = ends.map((_, k) => `M-.07 ${-k - 0.5}h.14`).join("");
      const paths = [axis, each(ends, line), `M${ends.join("L")}`, `M${ends[layer - 1]}h0`];
      paths.forEach((d, k) => svg.children[k].setAttribute("d", d));
      [growth.textContent, theory.textContent] = net.words[depth][backward];
      value.textContent = times(values[layer - 1]);
    });
    table.ariaLabel = `growth, theory, and the value in layer ${layer}`;
    table.style.setProperty("--at", 1 - (layer - 0.5) / depth);
    table.style.setProperty("--layer", layer);
    deep.value = depths.indexOf(depth);
    deep.ariaValueText = depthText.value = `${depth} layers`;
    [at.max, at.value] = [depth, layer];
    at.ariaValueText = layerText.value = `${layer} of ${depth}`;
    el.querySelector("p").textContent = said[depth];
  }
  for (const name of ["depth", "layer"]) model.on(`change:${name}`, draw);
  draw();
}

export default { render };
