// Yours in today's batch and, batch by batch, the running statistics of those before.

const NAMES = ["size", "momentum", "seen", "mode", "moved", "yours", "stream", "truth"];
const [WIDE, TALL] = [60, 104]; // of a panel of the past: batches, px

const slider = (text, limits) => `<label>${text}<input type="range" ${limits}><output></output></label>`;
const radio = (mode) => `<label><input type="radio" name="mode" value="${mode}">${mode}</label>`;
const button = (name) => `<button type="button" name="${name}">${name}</button>`;
const label = (x, y, text) => `<i style="--x:${100 * x}%;top:${y}px">${text}</i>`;
const chart = (width, height, paths) =>
  `<svg aria-hidden="true" viewBox="0 0 ${width} ${height}" height="${height}" preserveAspectRatio="none">
    ${Object.entries(paths)
      .map(([kind, d]) => `<path class="bn-${kind}" d="${d}"/>`)
      .join("")}</svg>`;
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

  const buttons = Object.keys(get("states")).map(button);
  el.classList.add("bn-figure");
  el.innerHTML = `<form method="dialog"><div class="bn-controls">
    <fieldset class="bn-controls"><legend>Mode:</legend>${radio("training")}${radio("prediction")}</fieldset>
    ${buttons.splice(0, 2).join("")}</div>
    <div class="bn-today"><output></output><div></div><div class="bn-beads">
      ${'<input type="range" name="moved" max="1" step="0.01">'.repeat(15)}
      <input type="range" name="yours" max="1" step="0.005" aria-label="yours"></div></div>
    <p class="bn-head">The batches before</p>
    <div class="bn-controls">${slider("momentum", 'name="momentum" min="-2" max="0" step="0.1"')}
    ${buttons.join("")}${slider("batch size", 'name="size" min="2" max="16"')}</div>
    <div class="bn-past"></div>${slider("batches seen", 'name="seen" max="60"')}
    <div class="bn-controls">${button("next batch")}</div></form>`;
  const form = el.firstChild;
  const [, above, , , past] = form.children;
  const [result, today] = above.children;
  form.oninput = ({ target }) => {
    const [v, i] = [Number(target.value), get("seen") * get("size") + [...form.moved].indexOf(target)];
    const momentum = Number((10 ** v).toPrecision(2));
    const values = { mode: target.value, momentum, moved: { ...get("moved"), [i]: v } };
    change({ [target.name]: values[target.name] ?? v });
  };
  form.onclick = ({ target: { type, name } }) => {
    if (type === "button") change(get("states")[name] ?? { seen: Math.min(WIDE, get("seen") + 1) });
  };

  function draw(changed) {
    const [size, momentum, seen, mode, moved, yours, crowd, truth] = NAMES.map(get);
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
      dots.push([...views(own).slice(0, 2), company(k)[2]]);
    }
    const [real, own] = [views(truth), company(seen)];
    const training = mode === "training";
    const used = training ? own : line[seen];
    const [mean, spread, output] = used;
    const { panels, basis, [changed]: said } = get("words")[mode];

    // Above, the axis of brightness; the ruler counts the spreads to yours.
    result.innerHTML = `<div>your output<b>${output < 0 ? "" : "+"}${write(output, 2)}</b>in ${mode} mode</div><p>${said}</p>`;
    const length = Math.abs(output);
    const ticks = Array.from({ length }, (_, k) => mean + ((k + 1) / length) * (yours - mean));
    const band = ([m, s]) => `M${m - s} 26V158H${m + s}V26`;
    const paths = {
      faint: band(own),
      band: band(used),
      used: `M${mean} 26V158`,
      ruler: `M${mean} 128H${yours}${ticks.map((x) => `M${x} 123v10`).join("")}`,
    };
    today.innerHTML = `${chart(1, 158, paths)}${label(yours, 93, "yours")}
      ${label(mean, 0, `<b>${basis} mean ${write(mean)}</b> ± spread ${write(spread)}`)}
      ${(length < 6 ? ticks : []).map((x, k) => label(x, 134, k + 1)).join("")}`;
    form.moved.forEach((bead, j) => {
      bead.ariaLabel = `batch-mate ${j + 1}`;
      bead.hidden = j > size - 2;
      bead.value = stream[seen * size + j];
    });
    form.yours.value = yours;

    // Below, batch by batch, a panel each for mean, spread and output.
    const panel = ([title, low, high], i) => {
      const level = (v) => (TALL * (high - Math.min(high, Math.max(low, v)))) / (high - low);
      const [at, goal] = [used[i], real[i]].map(level);
      const paths = {
        now: `M${seen} 0V${TALL}`,
        true: `M0 ${goal}H${WIDE}`,
        dots: dots.map((v, k) => `M${k + 1} ${level(v[i])}h0`).join(""),
        run: `M${line.map((v, k) => `${k} ${level(v[i])}`)}`,
        gap: `M${seen + training} ${at}V${goal}`,
        mark: `M${seen + training} ${at}h0`,
      };
      const y =
        goal < 58 ? Math.min(Math.max(at, goal + 19), 79) - 9 : Math.min(Math.max(at, 27), goal - 19) - 27;
      const gap = `<b>${basis} ${write(used[i])}</b>gap ${write(Math.abs(used[i] - real[i]))}`;
      return `<div>${title}${chart(WIDE, TALL, paths)}${label(1, goal, `true ${write(real[i])}`)}
        ${label((seen + 1) / WIDE, y, gap)}</div>`;
    };
    past.innerHTML = panels.map(panel).join("");
    const show = (input, v, text = v) => {
      input.value = v;
      input.ariaValueText = input.nextSibling.textContent = text;
    };
    const life = `half-life ${write(-1 / Math.log2(1 - momentum), 1)} batches`;
    show(
      form.momentum,
      Math.log10(momentum),
      `${momentum}, ${momentum < 1 ? life : "only the last batch counts"}`,
    );
    show(form.size, size);
    show(form.seen, seen);
    form.mode.value = mode;
  }
  for (const name of NAMES) model.on(`change:${name}`, () => draw(name));
  draw("mode");
}

export default { render };
