// The training explorer: where each net learns, how it does at one rate, and what enters its sigmoids.

const SIDES = { bn: -1, plain: 1 }; // batch norm is drawn above, plain below
const TALL = [270, 334, 334]; // px, as in the style sheet
const [LEFT, RIGHT, TOP, ZERO, AXIS] = [56, 92, 12, 80, 44]; // px; 0 and the axis from the bottom
const [ROW, CAP, SHARES] = [72.5, 550, 46]; // px; a histogram reaches to CAP per thousand

const path = (kind, points) =>
  `<path class="bn-${kind}" d="M${points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}"/>`;
const write = (x, text, y, anchor = "middle", kind = "quiet") =>
  `<text class="bn-${kind}" x="${x}" y="${y}" text-anchor="${anchor}">${text}</text>`;

function render({ model, el }) {
  const data = model.get("data");
  const panels = data.panels.map(
    ({ title, label, first, ticks }) => `<div><p class="bn-head">${title}</p><p class="bn-note"></p>
      <div class="bn-axis"><svg role="img" aria-label="${title}"></svg>
      ${label ? `<input type="range" aria-label="${label}" min="${first}" max="${first + ticks.length - 1}">` : ""}
      </div></div>`,
  );
  el.classList.add("bn-figure");
  el.innerHTML = `${panels.shift()}<div class="bn-panels">${panels.join("")}</div><div class="bn-controls">
    Try this: <button>${Object.keys(data.tries).join("</button><button>")}</button></div>`;
  const [svgs, inputs, notes, buttons] = ["svg", "input", ".bn-note", "button"].map((kind) =>
    el.querySelectorAll(kind),
  );
  notes[0].ariaLive = "polite";
  const change = (values) => {
    for (const name in values) model.set(name, values[name]);
    model.save_changes();
  };
  for (const button of buttons) button.onclick = () => change(data.tries[button.textContent]);
  ["rate", "epoch"].forEach((name, i) => {
    inputs[i].oninput = () => change({ [name]: Number(inputs[i].value) });
    model.on(`change:${name}`, draw);
  });

  const widths = [690, 337, 337];
  // Accuracies of five runs, and their median; the height is the logarithm of the share of errors.
  function chart(i, now, lines) {
    const { ticks, label } = data.panels[i];
    const [right, bottom] = [widths[i] - RIGHT, TALL[i] - AXIS];
    const across = (k) => LEFT + ((right - LEFT) * k) / (ticks.length - 1);
    const up = (value) => TALL[i] - ZERO + ((TALL[i] - ZERO - TOP) * Math.log10(1 - value)) / 1.12;
    const marks = ticks.map((tick, k) => write(across(k), tick, bottom + 24));
    marks.push(write((LEFT + right) / 2, label, bottom + 40));
    for (const value of [0, 0.5, 0.8, 0.9])
      marks.push(
        `<path class="bn-grid" d="M34 ${up(value)}H${right}"/>`,
        write(28, value, up(value) + 5, "end"),
      );
    for (const net in SIDES) {
      const values = lines(data[net]);
      const [x, value] = [across(now), values[5][now]];
      marks.push(
        ...values.map((line, run) =>
          path(
            `curve bn-${run < 5 ? "thin bn-" : ""}${net}`,
            line.map((value, k) => [across(k), up(value)]),
          ),
        ),
        `<path class="bn-line" d="M${x} ${up(value)}V${bottom}"/>
        <circle class="bn-dot bn-${net}" cx="${x}" cy="${up(value)}" r="5"/>`,
        write(right + 10, data[net].name, up(values[5].at(-1)) + 5, "start", `ink bn-${net}`),
        write(x + 10, value.toFixed(3), up(value) + 21, "start", `ink bn-${net}`),
      );
    }
    return marks;
  }

  function draw() {
    const [rate, epoch] = [model.get("rate"), model.get("epoch")];
    const seen = data.seen[epoch - 1]; // the last histograms until then
    const [edge, tall] = [widths[2] - SHARES, 4 * ROW];
    const zone = (x) => `<path class="bn-early" d="M${x} 0h${edge / 4}v${tall}h${-edge / 4}"/>`;
    const rows = [zone(0), zone(0.75 * edge), `<path class="bn-line" d="M${edge / 2} 0v${tall}"/>`];
    rows.push(...data.texts.map(([text, place, ...rest]) => write(edge * place, text, ...rest)));
    for (const net in SIDES) {
      const side = SIDES[net];
      data[net].counts[rate][seen].forEach((counts, layer) => {
        const zero = ROW * (layer + 0.5) + side;
        const outline = counts.map((count, k) => [
          (edge * (k + 0.5)) / counts.length,
          zero + (side * (ROW / 2 - 3) * count) / CAP,
        ]);
        rows.push(
          path(`area bn-${net}`, [[0, zero], ...outline, [edge, zero]]),
          write(widths[2], data[net].shares[rate][seen][layer], zero + 5 + 12 * side, "end", `ink bn-${net}`),
        );
      });
    }
    const contents = [chart(0, rate, (net) => net.ends), chart(1, epoch - 1, (net) => net.runs[rate]), rows];
    contents.forEach((content, i) => {
      svgs[i].setAttribute("viewBox", `0 0 ${widths[i]} ${TALL[i]}`);
      svgs[i].innerHTML = content.join("");
      notes[i].textContent = data.notes[i][i < 2 ? rate : epoch - 1];
    });
    inputs.forEach((input, i) => {
      input.value = [rate, epoch][i];
      input.ariaValueText = data.said[i][rate][i && epoch - 1];
    });
    for (const button of buttons) {
      const state = data.tries[button.textContent];
      button.ariaPressed = state.rate === rate && state.epoch === epoch;
    }
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
