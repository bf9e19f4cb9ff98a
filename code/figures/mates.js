// Yours in a batch of strangers and, batch by batch, the statistics it is compared with.

const NAMES = ["size", "momentum", "seen", "mode", "moved", "stream", "yours", "truth"];

const slider = (name, limits) => `<label>${name}<input type="range" ${limits}><output></output></label>`;
const radio = (mode) => `<label><input type="radio" name="mode" value="${mode}">${mode}</label>`;
const button = (name) => `<button type="button" name="${name}">${name}</button>`;
const write = (v, digits = 3) => v.toFixed(digits).replace("-", "−");
const average = (x) => x.reduce((sum, v) => sum + v / x.length, 0);
const moments = (x) => [average(x), average(x.map((v) => (v - average(x)) ** 2))]; // biased variance

function render({ model, el }) {
  const get = (name) => model.get(name);
  const change = (values) => {
    for (const name in values) model.set(name, values[name]);
    model.save_changes();
  };
  // Mean, your output and spread, from a mean and a variance.
  const views = ([mean, v]) => [mean, (get("yours") - mean) / Math.sqrt(v + 1e-5), Math.sqrt(v)];

  el.classList.add("bn-figure");
  el.innerHTML = `<form method="dialog">
    <fieldset class="bn-controls"><legend>Mode:</legend>${radio("training")}${radio("prediction")}</fieldset>
    <div class="bn-mates"><output></output><div></div>
    <div class="bn-beads">${'<input type="range" name="moved" max="1" step="0.01">'.repeat(15)}</div></div>
    <div class="bn-controls">${slider("momentum", 'name="momentum" min="-2" max="0" step="0.1"')}
    ${slider("batch size", 'name="size" min="2" max="16"')}${slider("batches seen", 'name="seen" max="60"')}
    ${button("next batch")}</div>
    <div class="bn-controls">Try this: ${Object.keys(get("states")).map(button).join("")}</div></form>`;
  const form = el.firstChild;
  const [result, charts] = form.children[1].children;
  form.oninput = ({ target }) => {
    const [v, i] = [Number(target.value), get("seen") * get("size") + [...form.moved].indexOf(target)];
    const momentum = Number((10 ** v).toPrecision(2));
    const values = { mode: target.value, momentum, moved: { ...get("moved"), [i]: v } };
    change({ [target.name]: values[target.name] ?? v });
  };
  form.onclick = ({ target: { type, name } }) => {
    if (type === "button") change(get("states")[name] ?? { seen: Math.min(60, get("seen") + 1) });
  };

  function draw() {
    const [size, momentum, seen, mode, moved, crowd, yours, truth] = NAMES.map(get);
    const stream = Object.assign([...crowd], moved);
    const batch = (k) => stream.slice(k * size, (k + 1) * size);
    const company = (k) => views(moments([yours, ...batch(k).slice(0, -1)]));
    let running = [0, 1];
    const [line, dots] = [[views(running)], []];
    for (let k = 0; k < seen; k++) {
      const [mean, v] = moments(batch(k));
      const own = [mean, (v * size) / (size - 1)];
      running = running.map((old, i) => old + momentum * (own[i] - old));
      line.push(views(running));
      dots.push([mean, company(k)[1]]);
    }
    const [now, real] = [line[seen], views(truth)];
    const [mean, output, spread] = mode === "training" ? company(seen) : now;
    const big = (output < 0 ? "" : "+") + write(output, 2);
    result.innerHTML = `your output, in ${mode} mode <b>${big}</b>
      ${mode === "training" ? "batch" : "running"} mean ${write(mean)}, spread ${write(spread)}`;
    form.moved.forEach((bead, j) => {
      bead.ariaLabel = `stranger ${j + 1}`;
      bead.hidden = j > size - 2;
      bead.value = stream[seen * size + j];
      bead.ariaValueText = `${bead.value}, your output ${big}`;
    });

    const side = (sign) => line.map(([m, , s], k) => `${m + sign * s} ${seen - k}`);
    const say = (name, i) =>
      `<b>${name} ${write(now[i])}</b> true ${write(real[i])}, gap ${write(Math.abs(now[i] - real[i]))}`;
    // View i: today, with a ruler from the mean to yours, over a row for each past batch.
    const chart = (limits, i, from, to, told, more) => {
      const length = Math.abs(output);
      const ticks = Array.from({ length }, (_, k) => `M${from + ((k + 1) / length) * (to - from)} -4v2`);
      const paths = {
        ...more,
        true: `M${real[i]} 0V60`,
        dots: dots.map((v, k) => `M${v[i]} ${seen - k - 0.5}h0`).join(""),
        run: `M${line.map((v, k) => `${v[i]} ${seen - k}`)}`,
        gap: `M${now[i]} 1H${real[i]}`,
        thread: `M${to} -8V60`,
        ruler: `M${from} -3H${to}${ticks.join("")}`,
        mark: `M${to} -8h0`,
      };
      const drawn = Object.entries(paths).map(([kind, d]) => `<path class="bn-${kind}" d="${d}"/>`);
      return `<div><svg viewBox="${limits}" preserveAspectRatio="none">${drawn.join("")}</svg><p>${told}</p>
        ${get("words")[i]}</div>`;
    };
    charts.style = `--yours:${yours};--seen:${seen};--truth:${real[0]};--goal:${real[1]}`;
    charts.innerHTML =
      chart("0 -36 1 96", 0, mean, yours, say("running mean", 0) + say("running spread", 2), {
        river: `M${side(-1)},${side(1).reverse()}`,
        band: `M${mean - spread} 0V-36H${mean + spread}V0`,
        faint: `M${real[0] - real[2]} 0V61H${real[0] + real[2]}V0`,
        used: `M${mean} -36V0`,
      }) + chart("-4 -36 8 96", 1, 0, output, say("prediction", 1));
    const show = (input, v, text = v) => {
      input.value = v;
      input.ariaValueText = input.nextSibling.textContent = text;
    };
    show(
      form.momentum,
      Math.log10(momentum),
      `${momentum}, half-life ${write(-1 / Math.log2(1 - momentum), 1)} batches`,
    );
    show(form.size, size);
    show(form.seen, seen);
    form.mode.value = mode;
  }
  for (const name of NAMES) model.on(`change:${name}`, draw);
  draw();
}

export default { render };
