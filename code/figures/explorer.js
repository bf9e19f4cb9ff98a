// The training explorer. Recorded runs of LeNet with and without batch norm, over learning rates and
// seeds: where each net trains, how it trains at one rate, and what enters its sigmoids on the way.

const NETS = { bn: "batch norm", plain: "plain" };
const [BAND, CURVES, ROW, CAP] = [150, 250, 56, 350]; // px; a histogram is cut at CAP per thousand
const [LEFT, RIGHT, ABOVE, BELOW] = [34, 12, 12, 26]; // margins, px

const path = (kind, points) =>
  `<path class="bn-${kind}" d="M${points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}"/>`;
const write = (x, y, text, anchor = "middle", kind = "") =>
  `<text class="${kind}" x="${x}" y="${y}" text-anchor="${anchor}">${text}</text>`;

function render({ model, el }) {
  const data = model.get("data");
  const { rates, steps, layers: names, tries } = data;
  const drawing = (title, keys = "") =>
    `<div><p class="bn-head">${title}${keys}</p><svg role="img" aria-label="${title}"></svg></div>`;
  const slider = (label, values) =>
    `<label class="bn-wide">${label}<input type="range" max="${values.length - 1}"><output aria-live="off"></output></label>`;
  const keys = Object.keys(NETS).map((net) => ` <strong class="bn-key bn-${net}">${NETS[net]}</strong>`);
  el.classList.add("bn-figure");
  el.innerHTML = `${drawing("Training accuracy after ten epochs, by learning rate", keys.join(""))}
    ${slider("learning rate", rates)}
    <div class="bn-panels">
      ${drawing("Training accuracy, epoch by epoch")}${drawing("Inputs of the sigmoids; share beyond ±4")}
    </div>
    ${slider("updates", steps)}<p aria-live="polite"></p>
    <div class="bn-controls">Try this:
      ${Object.keys(tries)
        .map((text) => `<button type="button">${text}</button>`)
        .join("")}
    </div>`;
  const [band, curves, layers] = el.querySelectorAll("svg");
  const change = (values) => {
    for (const name in values) model.set(name, values[name]);
    model.save_changes();
  };
  for (const button of el.querySelectorAll("button")) {
    const [rate, step] = tries[button.textContent];
    button.onclick = () => change({ rate, step });
  }
  const inputs = el.querySelectorAll("input");
  ["rate", "step"].forEach((name, i) => {
    inputs[i].oninput = () => change({ [name]: Number(inputs[i].value) });
    model.on(`change:${name}`, draw);
  });
  band.onpointerdown = (event) => {
    const share = (event.clientX - band.getBoundingClientRect().left - LEFT) / (full - LEFT - RIGHT);
    change({ rate: Math.max(0, Math.round(share * (rates.length - 1))) });
  };

  let [full, half] = [660, 320]; // widths
  const across = (width, share) => LEFT + (width - LEFT - RIGHT) * share;
  const within = (share) => 60 + (half - 110) * share;
  const up = (height, value) => height - BELOW - (height - ABOVE - BELOW) * value;
  const byRate = (value, i) => [across(full, i / (rates.length - 1)), up(BAND, value)];
  const byEpoch = (value, i) => [across(half, (i + 1) / 10), up(CURVES, value)];
  // Axes of an accuracy, from 0 to 1, and of `names`; a line marks the place `now`.
  function chart(svg, width, height, names, now, content) {
    const grid = [0, 0.5, 1].map((value) => {
      const y = up(height, value);
      return `<path class="bn-grid" d="M${LEFT} ${y}H${width - RIGHT}"/>${write(LEFT - 6, y + 5, value, "end")}`;
    });
    const below = names.map((name, i) => write(across(width, i / (names.length - 1)), height - 6, name));
    const line = `<path class="bn-line" d="M${across(width, now)} ${ABOVE}V${height - BELOW}"/>`;
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.innerHTML = grid.join("") + below.join("") + line + content.join("");
  }
  function histogram(net, layer, counts, beyond) {
    const side = net === "bn" ? -1 : 1; // above or below the line
    const zero = ROW * (layer + 0.5) + side;
    const outline = counts.flatMap((count, i) => {
      const y = zero + (side * (ROW / 2 - 3) * Math.min(CAP, count)) / CAP;
      return [i, i + 1].map((edge) => [within(edge / counts.length), y]);
    });
    const text = `${(100 * beyond).toFixed(0)} %`;
    return (
      path(`area bn-${net}`, [[within(0), zero], ...outline, [within(1), zero]]) +
      write(half - 4, zero + 5 + 12 * side, text, "end", `bn-ink bn-${net}`)
    );
  }

  function draw() {
    const [rate, step] = [model.get("rate"), model.get("step")];
    const done = steps[step] / steps.at(-1);
    const texts = [rates[rate], `${steps[step]}, epoch ${(10 * done).toFixed(1)}`];
    inputs.forEach((input, i) => {
      input.value = [rate, step][i];
      input.setAttribute("aria-valuetext", texts[i]);
      input.nextSibling.textContent = texts[i];
    });
    const [bands, lines, said] = [[], [], []];
    const rows = names.map((name, i) => write(0, ROW * (i + 0.5) - 10, name, "start"));
    for (const value of [-8, -4, 0, 4, 8]) {
      const x = within((value + 8) / 16);
      rows.push(
        `<path class="bn-grid" d="M${x} 0V${ROW * 4}"/>`,
        write(x, ROW * 4 + 18, `${value}`.replace("-", "−")),
      );
    }
    for (const net in NETS) {
      const { train_acc, median, test_acc, counts, beyond } = data[net];
      const ends = (f) => train_acc.map((runs, i) => byRate(f(...runs.map((run) => run.at(-1))), i));
      const final = median.map((run) => run.at(-1));
      const [cx, cy] = byRate(final[rate], rate);
      bands.push(
        path(`spread bn-${net}`, [...ends(Math.max), ...ends(Math.min).reverse()]),
        path(`curve bn-${net}`, final.map(byRate)),
        `<circle class="bn-dot bn-${net}" cx="${cx}" cy="${cy}" r="5"/>`,
      );
      for (const run of train_acc[rate]) lines.push(path(`curve bn-thin bn-${net}`, run.map(byEpoch)));
      lines.push(path(`curve bn-${net}`, median[rate].map(byEpoch)));
      rows.push(...counts[rate][step].map((c, i) => histogram(net, i, c, beyond[rate][step][i])));
      const shares = beyond[rate][step].map((v) => (100 * v).toFixed(0)).join(", ");
      said.push(
        `${NETS[net]} ${final[rate].toFixed(3)} and ${test_acc[rate].toFixed(3)} (beyond ±4: ${shares} %)`,
      );
    }
    chart(band, full, BAND, rates, rate / (rates.length - 1), bands);
    chart(curves, half, CURVES, [0, 5, 10], done, lines);
    layers.setAttribute("viewBox", `0 0 ${half} ${ROW * 4 + BELOW}`);
    layers.innerHTML = rows.join("");
    const what = `At ${rates[rate]}, accuracy after ten epochs on training images and, with fresh statistics, on test images`;
    el.querySelector("[aria-live=polite]").textContent = `${what}: ${said.join("; ")}.`;
  }
  const resize = new ResizeObserver(() => {
    full = band.clientWidth || full;
    half = curves.clientWidth || half;
    draw();
  });
  resize.observe(el);
  draw();
  return () => resize.disconnect();
}

export default { render };
