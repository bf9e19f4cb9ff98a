// The training explorer. Recorded runs of LeNet with and without batch norm, over learning rates and
// seeds: where each net trains, how it trains at one rate, and what enters its sigmoids on the way.

const NETS = { bn: "batch norm", plain: "plain" };
const LAYERS = ["conv 1", "conv 2", "linear 1", "linear 2"];
const TRIES = {
  "0.01: only one starts": [0, 11],
  "1: the first epoch": [4, 6],
  "1: the end": [4, 11],
  "3: the end": [5, 11],
};
const [BAND, CURVES, ROW, CAP] = [120, 250, 56, 350]; // px; a histogram is cut at CAP per thousand
const [LEFT, RIGHT, ABOVE, BELOW] = [34, 12, 12, 26]; // margins, px

// A child of `parent`; what is in an <svg> is of the SVG namespace.
function add(parent, tag, attributes = {}, text = "") {
  const space = tag === "svg" ? "http://www.w3.org/2000/svg" : parent.namespaceURI;
  const node = document.createElementNS(space, tag);
  for (const name in attributes) node.setAttribute(name, attributes[name]);
  node.textContent = text;
  parent.append(node);
  return node;
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const last = (runs) => runs.map((run) => run.at(-1));
const path = (points) => `M${points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}`;

function render({ model, el }) {
  const data = model.get("data"),
    { rates, steps } = data;
  const change = (rate, step) => {
    model.set("rate", rate);
    model.set("step", step);
    model.save_changes();
  };
  const drawing = (parent, title) => {
    add(parent, "p", { class: "bn-head" }, title);
    return add(parent, "svg", { role: "img", "aria-label": title });
  };
  const slider = (label, count, set) => {
    const box = add(el, "label", { class: "bn-wide" }, label);
    const input = add(box, "input", { type: "range", min: 0, max: count - 1, step: 1 });
    const output = add(box, "output");
    input.addEventListener("input", () => set(Number(input.value)));
    return (value, text) => {
      input.value = value;
      output.textContent = text;
      input.setAttribute("aria-valuetext", text);
    };
  };

  el.classList.add("bn-figure");
  const band = drawing(el, "Training accuracy after ten epochs, by learning rate ");
  for (const net in NETS) add(band.previousSibling, "strong", { class: `bn-key bn-${net}` }, NETS[net]);
  const showRate = slider("learning rate", rates.length, (rate) => change(rate, model.get("step")));
  const halves = add(el, "div", { class: "bn-panels" });
  const curves = drawing(add(halves, "div"), "At this rate, epoch by epoch");
  const layers = drawing(add(halves, "div"), "What enters the sigmoids, and share beyond ±4");
  const showStep = slider("updates", steps.length, (step) => change(model.get("rate"), step));
  const words = add(el, "p", { "aria-live": "polite" });
  const tries = add(el, "div", { class: "bn-controls" }, "Try this:");
  for (const text in TRIES) {
    const button = add(tries, "button", { type: "button" }, text);
    button.addEventListener("click", () => change(...TRIES[text]));
  }

  let full = 660,
    half = 320;
  const across = (width, share) => LEFT + (width - LEFT - RIGHT) * share;
  const within = (share) => 60 + (half - 110) * share;
  const up = (height, value) => height - BELOW - (height - ABOVE - BELOW) * value;
  // Axes of an accuracy, from 0 to 1, and of what `names` says; a line marks the place `now`.
  function axes(svg, width, height, names, now) {
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.replaceChildren();
    for (const value of [0, 0.5, 1]) {
      const y = up(height, value);
      add(svg, "path", { class: "bn-grid", d: `M${LEFT} ${y}H${width - RIGHT}` });
      add(svg, "text", { x: LEFT - 6, y: y + 5, "text-anchor": "end" }, value);
    }
    names.forEach((name, i) => {
      const x = across(width, i / (names.length - 1));
      add(svg, "text", { x, y: height - 6, "text-anchor": "middle" }, name);
    });
    add(svg, "path", { class: "bn-line", d: `M${across(width, now)} ${ABOVE}V${height - BELOW}` });
  }
  function histogram(net, layer, counts, beyond) {
    const side = net === "bn" ? -1 : 1,
      zero = ROW * (layer + 0.5) + side;
    const x = (i) => within(i / counts.length);
    const outline = counts.flatMap((count, i) => {
      const y = zero + (side * (ROW / 2 - 3) * Math.min(CAP, count)) / CAP;
      return [
        [x(i), y],
        [x(i + 1), y],
      ];
    });
    add(layers, "path", {
      class: `bn-area bn-${net}`,
      d: path([[x(0), zero], ...outline, [x(counts.length), zero]]),
    });
    const place = { class: `bn-ink bn-${net}`, x: half - 4, y: zero + 5 + 12 * side, "text-anchor": "end" };
    add(layers, "text", place, `${(100 * beyond).toFixed(0)} %`);
  }

  function draw() {
    const rate = model.get("rate"),
      step = model.get("step"),
      end = steps.at(-1);
    showRate(rate, rates[rate]);
    showStep(step, `${steps[step]}, epoch ${((10 * steps[step]) / end).toFixed(1)}`);
    axes(band, full, BAND, rates, rate / (rates.length - 1));
    axes(curves, half, CURVES, [0, 5, 10], steps[step] / end);
    layers.setAttribute("viewBox", `0 0 ${half} ${ROW * 4 + BELOW}`);
    layers.replaceChildren();
    for (const value of [-8, -4, 0, 4, 8]) {
      const x = within((value + 8) / 16);
      add(layers, "path", { class: "bn-grid", d: `M${x} 0V${ROW * 4}` });
      add(layers, "text", { x, y: ROW * 4 + 18, "text-anchor": "middle" }, `${value}`.replace("-", "−"));
    }
    LAYERS.forEach((name, i) => add(layers, "text", { y: ROW * (i + 0.5) - 10 }, name));
    const said = Object.keys(NETS).map((net) => {
      const { train_acc, test_acc, counts, beyond } = data[net],
        runs = train_acc[rate];
      const line = (svg, kind, values, place) =>
        add(svg, "path", { class: `bn-${kind} bn-${net}`, d: path(values.map(place)) });
      const byRate = (value, i) => [across(full, i / (rates.length - 1)), up(BAND, value)];
      const final = train_acc.map(last);
      const edge = final.map((v, i) => byRate(Math.max(...v), i));
      const lower = final.map((v, i) => byRate(Math.min(...v), i));
      line(band, "spread", [...edge, ...lower.reverse()], (point) => point);
      line(band, "curve", final.map(median), byRate);
      const [cx, cy] = byRate(median(final[rate]), rate);
      add(band, "circle", { class: `bn-dot bn-${net}`, cx, cy, r: 5 });
      const byEpoch = (value, i) => [across(half, (i + 1) / 10), up(CURVES, value)];
      for (const run of runs) line(curves, "curve bn-thin", run, byEpoch);
      line(
        curves,
        "curve",
        runs[0].map((_, i) => median(runs.map((run) => run[i]))),
        byEpoch,
      );
      counts[rate][step].forEach((c, i) => histogram(net, i, c, beyond[rate][step][i]));
      return `${NETS[net]} ${median(final[rate]).toFixed(3)} and ${median(last(test_acc[rate])).toFixed(3)}`;
    });
    words.textContent = `At ${rates[rate]}, accuracy after ten epochs on training and on test images: ${said.join("; ")}.`;
  }
  for (const name of ["rate", "step"]) model.on(`change:${name}`, draw);
  band.addEventListener("pointerdown", (event) => {
    const share = (event.clientX - band.getBoundingClientRect().left - LEFT) / (full - LEFT - RIGHT);
    const rate = Math.round(share * (rates.length - 1));
    change(Math.max(0, Math.min(rates.length - 1, rate)), model.get("step"));
  });
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
