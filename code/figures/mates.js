// Yours in a batch of strangers and, batch by batch, the statistics it is compared with.

const START = { size: 8, momentum: 0.1, seen: 20, mode: "training", moved: {} };
const TRY = {
  "a glaring stranger": { moved: { 160: 1 } },
  impatient: { momentum: 1, mode: "prediction" },
  patient: { momentum: 0.01, mode: "prediction", seen: 60 },
  reset: {},
};
const TITLES = ["running mean", "running spread", "predicted output"];

const slider = (name, limits) => `<label>${name}<input type=range ${limits}><output></output></label>`;
const radio = (mode) => `<label><input type=radio name=mode value=${mode}>${mode}</label>`;
const button = (name) => `<button type=button name="${name}">${name}</button>`;
const stranger = (_, j) => `<input type=range name=moved max=1 step=0.01 aria-label="stranger ${j + 1}">`;
const PAGE = `<form method=dialog>
  <fieldset class=bn-controls><legend>Mode:</legend>${radio("training")}${radio("prediction")}</fieldset>
  <div class=bn-beside><div class="bn-beads bn-strip"><svg height=106></svg>
  ${Array.from({ length: 15 }, stranger).join("")}
  <i>0 = black</i><i>brightness</i><i>1 = white</i></div><output></output></div>
  <div class=bn-charts></div>
  <div class=bn-controls>${slider("momentum", "name=momentum min=-2 max=0 step=0.1")}
  ${slider("batch size", "name=size min=2 max=16")}${slider("batches seen", "name=seen max=60")}
  ${button("next batch")}</div>
  <div class=bn-controls>Try this: ${Object.keys(TRY).map(button).join("")}</div></form>`;

const write = (v, digits = 3) => v.toFixed(digits).replace("-", "−");
const average = (x) => x.reduce((sum, v) => sum + v / x.length, 0);
const moments = (x) => [average(x), average(x.map((v) => (v - average(x)) ** 2))]; // biased variance

function render({ model, el }) {
  const get = (name) => model.get(name);
  const change = (values) => {
    for (const name in values) model.set(name, values[name]);
    model.save_changes();
  };
  // Mean, spread and your output, from a mean and a variance.
  const views = ([mean, v]) => [mean, Math.sqrt(v), (get("yours") - mean) / Math.sqrt(v + 1e-5)];

  el.classList.add("bn-figure");
  el.innerHTML = PAGE;
  const [form, strip, result, grid] = ["form", "svg", "output", ".bn-charts"].map((s) => el.querySelector(s));
  form.oninput = ({ target }) => {
    const [v, i] = [Number(target.value), get("seen") * get("size") + [...form.moved].indexOf(target)];
    const momentum = Number((10 ** v).toPrecision(2));
    const values = { mode: target.value, momentum, moved: { ...get("moved"), [i]: v } };
    change({ [target.name]: values[target.name] ?? v });
  };
  form.onclick = ({ target: { type, name } }) => {
    if (name in TRY) change({ ...START, ...TRY[name] });
    else if (type === "button") change({ seen: Math.min(60, get("seen") + 1) });
  };

  function draw() {
    const [size, momentum, seen, mode, moved] = Object.keys(START).map(get);
    const stream = Object.assign([...get("stream")], moved);
    const batch = (k) => stream.slice(k * size, (k + 1) * size);
    const company = (k) => views(moments([get("yours"), ...batch(k).slice(0, -1)]));
    let running = [0, 1];
    const [line, dots] = [[views(running)], []];
    for (let k = 0; k < seen; k++) {
      const [mean, v] = moments(batch(k));
      const own = [mean, (v * size) / (size - 1)];
      running = running.map((old, i) => old + momentum * (own[i] - old));
      line.push(views(running));
      dots.push([mean, Math.sqrt(own[1]), company(k)[2]]);
    }
    const training = mode === "training";
    const used = training ? company(seen) : line[seen];
    const [mean, spread, output] = used;
    const big = (output < 0 ? "" : "+") + write(output, 2);
    strip.innerHTML = `<line class=bn-band x1=${100 * (mean - spread)}% x2=${100 * (mean + spread)}% />
      <svg x=${100 * mean}%><path class=bn-fulcrum d="M0 118l9 16h-18z"/></svg>
      <svg x=${100 * get("yours")}%><circle class=bn-out cy=106 r=11 /><text y=90>yours</text></svg>`;
    result.innerHTML = `your output, in ${mode} mode <b>${big}</b>
      ${training ? "batch" : "running"} mean ${write(mean)}, spread ${write(spread)}`;
    form.moved.forEach((bead, j) => {
      bead.hidden = j > size - 2;
      bead.value = stream[seen * size + j];
      bead.ariaValueText = `${bead.value}, your output ${big}`;
    });
    grid.innerHTML = TITLES.map((title, i) => {
      const [low, high] = [[0, 0, -3][i], [0.6, 1, 3][i]];
      const [now, real] = [line[seen][i], views(get("truth"))[i]];
      const at = (k, v) => `${k} ${-Math.min(high, Math.max(low, v))}`;
      return `<div><b>${title} ${write(now)}</b>
      true ${write(real)}, gap ${write(Math.abs(now - real))}
      <svg viewBox="0 ${-high} 61 ${high - low}" preserveAspectRatio=none>
      <path class=bn-true d="M0 ${-real}H61"/>
      <path class=bn-gap d="M${at(seen, now)}V${-real}"/>
      <path class=bn-dots d="${dots.map((v, k) => `M${at(k + 1, v[i])}h0`).join("")}"/>
      <path class=bn-run d="M${line.map((v, k) => at(k, v[i])).join("L")}"/>
      <path class=bn-mark d="M${at(seen + training, used[i])}h0"/></svg>
      <small>${high}</small><small>${write(low, 0)}</small></div>`;
    }).join("");
    const show = (input, v, text = v) => {
      input.value = v;
      input.ariaValueText = input.nextSibling.textContent = text;
    };
    const life = -1 / Math.log2(1 - momentum);
    show(form.momentum, Math.log10(momentum), `${momentum}, half-life ${write(life, 1)} batches`);
    show(form.size, size);
    show(form.seen, seen);
    form.mode.value = mode;
  }
  for (const name of [...Object.keys(START), "stream", "yours", "truth"]) model.on(`change:${name}`, draw);
  draw();
}

export default { render };
