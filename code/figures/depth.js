// Down the depth: a ladder for each net and direction; each rung is a layer, the input at the foot.

const power = (_, k) => `·10${k.replace(/./g, (c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] ?? "⁻")}`;
const times = (v) =>
  (v < 0.01 || v >= 999.5 ? v?.toExponential(2) : v.toPrecision(3))?.replace(/e\+?(.*)/, power) ??
  "less than 10⁻²⁷";
const each = (list, f) => list.map(f).join("");

function render({ model, el }) {
  const { nets, rows, depths } = model.get("data");
  const names = Object.keys(nets);
  const row = ({ name, what, ticks }) => `<tbody>
    <tr><th colspan="${names.length}" scope="rowgroup">${name} <small>${what}</small></th></tr>
    <tr>${each(
      names,
      (net) => `<td data-net="${net}">
        <svg aria-hidden="true" preserveAspectRatio="none"><path/><path/><path/><path/><path/></svg>
        <div aria-hidden="true">${each(ticks, (tick) => `<span>${tick}</span>`)}</div><b></b></td>`,
    )}</tr></tbody>`;
  el.classList.add("bn-figure");
  el.innerHTML = `<label class="bn-deep">Depth <b></b>
      <input type="range" max="${depths.length - 1}"></label><p aria-live="polite"></p>
    <table class="bn-ladders" aria-label="growth"><thead>
      <tr>${each(names, (net) => `<th scope="col"><button type="button">${net}</button></th>`)}</tr></thead>${each(rows, row)}</table>
    <div class="bn-controls"><label>Layer <input type="range" min="1"></label></div><p aria-live="polite"></p>`;
  const [deep, at] = el.querySelectorAll("input");
  const [sentence, reading] = el.querySelectorAll("p");
  const [table, text] = ["table", "b"].map((kind) => el.querySelector(kind));

  const change = (name, value) => {
    model.set(name, value);
    model.save_changes();
  };
  deep.oninput = () => change("depth", depths[deep.value]);
  at.oninput = () => change("layer", Number(at.value));
  table.onclick = ({ target }) => target.type && change("net", target.textContent);
  table.onpointermove = table.onpointerdown = ({ target, clientY }) => {
    const box = target.closest("svg")?.getBoundingClientRect();
    if (!box) return;
    const height = (box.bottom - 5 - clientY) / (box.height - 10); // 5 px are outside
    at.value = Math.ceil(height * at.max); // the slider clamps
    at.oninput();
    change("net", target.closest("td").dataset.net);
  };

  function draw() {
    const [depth, chosen] = [model.get("depth"), model.get("net")];
    const layer = Math.min(model.get("layer"), depth);
    const here = [];
    el.querySelectorAll("td").forEach((td, i) => {
      const backward = Math.floor(i / names.length);
      const net = nets[td.dataset.net];
      const values = backward ? net.gradient[depth] : net.variance.slice(0, depth);
      const ends = values.map((v, k) => [Math.log10(v || 1e-99) / rows[backward].end, -k - 0.5]);
      const [svg, , growth] = td.children;
      svg.setAttribute("viewBox", `-1 ${-depth} 2 ${depth}`);
      svg.style.strokeWidth = Math.min(0.45, depth / 80);
      const rungs = (beyond) => each(ends, ([x, y]) => (Math.abs(x) > 1 === beyond ? `M0 ${y}H${x}` : ""));
      const axis = each(ends, ([, y]) => `M-.07 ${y}h.14`);
      const mark = net === nets[chosen] ? `M${ends[layer - 1]}h0` : "";
      const paths = [axis, rungs(false), rungs(true), `M${ends.join("L")}`, mark];
      paths.forEach((d, k) => svg.children[k].setAttribute("d", d));
      growth.textContent = net.growth[depth][backward];
      if (mark) here.push(times(values[layer - 1]));
    });
    table.style.setProperty("--at", 1 - (layer - 0.5) / depth);
    table.style.setProperty("--layer", layer);
    deep.value = depths.indexOf(depth);
    deep.ariaValueText = text.textContent = `${depth} layers`;
    [at.max, at.value] = [depth, layer];
    for (const head of table.querySelectorAll("button")) head.ariaPressed = head.textContent === chosen;
    at.ariaValueText = `${layer} of ${depth}`;
    sentence.textContent = nets[chosen].said[depth];
    reading.textContent = `Up to layer ${layer} the variance is multiplied by ${here[0]}, down to it the gradient by ${here[1]}. ${nets[chosen].theory}`;
  }
  for (const name of ["depth", "layer", "net"]) model.on(`change:${name}`, draw);
  draw();
}

export default { render };
