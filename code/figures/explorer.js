// The training explorer. Recorded runs of LeNet with and without batch norm, over learning rates and
// seeds: where each net learns, how it does at one rate, and what enters its sigmoids meanwhile.

const SIDES = { bn: -1, plain: 1 }; // batch norm is drawn above, plain below
const TALL = [250, 290, 290]; // px, as in the style sheet
const [LEFT, RIGHT, TOP, ZERO, AXIS] = [56, 34, 12, 80, 44]; // px; 0 and the axis from the bottom
const [ROW, CAP, SHARES] = [61.5, 300, 46]; // px; a histogram is cut at CAP per thousand

const path = (kind, points) =>
  `<path class="bn-${kind}" d="M${points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}"/>`;
const write = (x, text, y, anchor = "middle", kind = "quiet") =>
  `<text class="bn-${kind}" x="${x}" y="${y}" text-anchor="${anchor}">${text}</text>`;

function render({ model, el }) {
  const data = model.get("data");
  const panel = (title, control = "") => `<div><p class="bn-head">${title}</p><p class="bn-note"></p>
    <div class="bn-axis"><svg role="img" aria-label="${title}"></svg>${control}</div></div>`;
  const [first, second] = data.axes.map(({ title, label, ticks }) =>
    panel(title, `<input type="range" aria-label="${label}" max="${ticks.length - 1}">`),
  );
  el.classList.add("bn-figure");
  el.innerHTML = `${first}<div class="bn-panels">${second}${panel(data.title)}</div>
    <div class="bn-controls">Try this:</div>`;
  const [svgs, inputs, notes] = ["svg", "input", ".bn-note"].map((kind) => el.querySelectorAll(kind));
  notes[0].setAttribute("aria-live", "polite");
  const change = (values) => {
    for (const name in values) model.set(name, values[name]);
    model.save_changes();
  };
  for (const name in data.tries) {
    const button = document.createElement("button");
    button.textContent = name;
    button.onclick = () => change(data.tries[name]);
    el.lastChild.append(button);
  }
  ["rate", "step"].forEach((name, i) => {
    inputs[i].oninput = () => change({ [name]: Number(inputs[i].value) });
    model.on(`change:${name}`, draw);
  });

  const widths = [690, 340, 340];
  // Accuracies over an axis. `lines(net)` are lists of points [place, accuracy], of which the last is drawn as the
  // main line, the others as `kind`. The height is the logarithm of the share of errors.
  function chart(i, now, kind, lines) {
    const { ticks, under, early } = data.axes[i];
    const [width, bottom] = [widths[i], TALL[i] - AXIS];
    const across = (place) => LEFT + ((width - LEFT - RIGHT) * place) / (ticks.length - 1);
    const up = (value) => TALL[i] - ZERO + ((TALL[i] - ZERO - TOP) * Math.log10(1 - value)) / 1.2;
    const grid = [0, 0.5, 0.8, 0.9].map(
      (value) =>
        `<path class="bn-grid" d="M34 ${up(value)}H${width}"/>${write(28, value, up(value) + 5, "end")}`,
    );
    const marks = [
      `<path class="bn-early" d="M${LEFT} ${TOP}H${across(early)}V${bottom}H${LEFT}"/>`,
      ...grid,
      `<path class="bn-line" d="M${across(now)} 34V${bottom}"/>`,
      ...ticks.map((tick, k) => write(across(k), tick, bottom + 24)),
      ...under.map(([text, place, y]) => write(across(place), text, y)),
    ];
    for (const net in SIDES) {
      const [side, ink] = [SIDES[net], `ink bn-${net}`];
      const place = ([at, value]) => [across(at), up(value)];
      const all = lines(data[net]);
      const main = all.pop();
      const [x, y] = place(main[0]);
      marks.push(
        ...all.map((points) => path(`${kind} bn-${net}`, points.map(place))),
        path(`curve bn-${net}`, main.map(place)),
        i
          ? write(x - 10, data[net].name, y + 5, "end", ink)
          : write(x + 8, data[net].name, y + 5 - 17 * side, "start", ink),
      );
      for (const dot of main.filter(([at]) => at === now)) {
        const [x, y] = place(dot);
        marks.push(
          `<circle class="bn-dot bn-${net}" cx="${x}" cy="${y}" r="5"/>`,
          write(x + 12 * side, dot[1].toFixed(3), y + 5 + 17 * side, "middle", ink),
        );
      }
    }
    return marks;
  }

  function draw() {
    const [rate, step] = [model.get("rate"), model.get("step")];
    const edge = widths[2] - SHARES;
    const rows = [
      ...[0, 0.75].map(
        (x) => `<path class="bn-early" d="M${x * edge} 0h${edge / 4}V${4 * ROW}h${-edge / 4}"/>`,
      ),
      `<path class="bn-line" d="M${edge / 2} 0V${4 * ROW}"/>`,
      ...data.texts.map(([text, place, ...rest]) => write(edge * place, text, ...rest)),
    ];
    for (const net in SIDES) {
      const side = SIDES[net];
      data[net].counts[rate][step].forEach((counts, layer) => {
        const zero = ROW * (layer + 0.5) + side;
        const outline = counts.map((count, k) => [
          (edge * (k + 0.5)) / counts.length,
          zero + (side * (ROW / 2 - 3) * Math.min(CAP, count)) / CAP,
        ]);
        rows.push(
          path(`area bn-${net}`, [[0, zero], ...outline, [edge, zero]]),
          write(widths[2], data[net].shares[rate][step][layer], zero + 5 + 12 * side, "end", `ink bn-${net}`),
        );
      });
    }
    const timed = (run) => run.map((value, epoch) => [data.epochs[epoch], value]);
    const contents = [
      chart(0, rate, "spread", (net) => [net.spread, net.final]),
      chart(1, step, "curve bn-thin", (net) => [...net.train_acc[rate], net.median[rate]].map(timed)),
      rows,
    ];
    contents.forEach((content, i) => {
      svgs[i].setAttribute("viewBox", `0 0 ${widths[i]} ${TALL[i]}`);
      svgs[i].innerHTML = content.join("");
      notes[i].textContent = data.notes[i][i < 2 ? rate : step];
    });
    [rate, step].forEach((value, i) => {
      inputs[i].value = value;
      inputs[i].setAttribute("aria-valuetext", data.said[i][rate][i && step]);
    });
  }
  const resize = new ResizeObserver(() => {
    svgs.forEach((svg, i) => (widths[i] = svg.clientWidth || widths[i]));
    draw();
  });
  resize.observe(el);
  draw();
  return () => resize.disconnect();
}

export default { render };
