// Learning curves: the accuracies of each net over the epochs, and beside them the numbers of one epoch.

const WHAT = { train_acc: "training", test_acc: "test", fresh: "test, fresh" };
const TICKS = [0, 0.1, 0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99];
const [LEFT, RIGHT, TOP, ZERO, AXIS, ROW] = [56, 136, 14, 240, 296, 34]; // px; the worst lies at ZERO

const path = (kind, d) => `<path class="bn-${kind}" d="M${d}"/>`;
const write = (x, text, y, anchor = "middle", kind = "quiet") =>
  `<text class="bn-${kind}" x="${x}" y="${y}" text-anchor="${anchor}">${text}</text>`;
// The height of an accuracy is the logarithm of the share of errors.
const level = (value) => -Math.log(Math.max(1 - value, 0.001));

function render({ model, el }) {
  el.classList.add("bn-figure");
  el.innerHTML = `<p class="bn-head"></p><p class="bn-note"></p><div class="bn-axis bn-epochs">
    <svg role="img" aria-label="accuracy"></svg><input type="range" min="1" aria-label="epoch"></div>`;
  const [head, note, svg, input] = ["p", "p + p", "svg", "input"].map((kind) => el.querySelector(kind));
  let [width, last] = [690];
  input.oninput = () => {
    model.set("epoch", input.value == last ? 0 : Number(input.value)); // 0: always the last
    model.save_changes();
    draw();
  };

  function draw() {
    const [runs, epochs] = [model.get("runs"), model.get("epochs")];
    const lines = runs.flatMap((run) =>
      Object.keys(WHAT).flatMap((key) => (run[key]?.length ? { ...run, key, values: run[key] } : [])),
    );
    const lengths = lines.map(({ values }) => values.length);
    last = Math.min(...lengths, epochs); // that all have reached
    const epoch = Math.min(model.get("epoch") || last, Math.max(...lengths, 1));
    const all = lines.flatMap(({ values }) => values);
    const low = level(Math.min(...all, 0.8));
    const unit = (ZERO - TOP) / (level(Math.max(...all, 0.9)) - low) / 1.05;
    const right = width - RIGHT;
    const across = (e) => LEFT + ((right - LEFT) * (e - 1)) / Math.max(1, epochs - 1);
    const up = (value) => ZERO - unit * (level(value) - low);
    const points = (values) => values.map((value, i) => `${across(i + 1)} ${up(value)}`);
    const number = (values) => values[epoch - 1]?.toFixed(3) ?? "–";
    const x = across(epoch);

    const marks = [write((LEFT + right) / 2, "epoch", AXIS + 40), path("line", `${x} ${TOP}V${AXIS}`)];
    let y = ZERO + 16; // of a label; the next is 16 px above it, or more
    for (const tick of TICKS) {
      if (up(tick) < 0 || up(tick) > y - 16) continue;
      y = up(tick);
      marks.push(path("grid", `34 ${y}H${right}`), write(28, tick, y + 5, "end"));
    }
    for (let e = 1; e <= epochs; e += Math.ceil(epochs / 10)) marks.push(write(across(e), e, AXIS + 24));
    for (const [k, { kind, fresh = [], test_acc }] of runs.entries()) {
      const gap = fresh[epoch - 1] - test_acc[epoch - 1];
      if (isNaN(gap)) continue;
      const words = [`${gap > 0 ? gap.toFixed(3) : "nothing"} lost to`, "the running statistics"];
      const [side, anchor] = x > 160 ? [-10, "end"] : [10, "start"];
      marks.push(
        path(
          `lost bn-${kind}`,
          [...points(fresh.map((v, i) => Math.max(v, test_acc[i]))), ...points(test_acc).reverse()].join("L"),
        ),
        path(`loss bn-${kind}`, `${x} ${up(test_acc[epoch - 1])}V${up(fresh[epoch - 1])}`),
        ...words.map((text, i) =>
          write(x + side, text, up(Math.min(...test_acc)) + 24 - 40 * k + 17 * i, anchor, `ink bn-${kind}`),
        ),
      );
    }
    const here = ({ values }) => values[epoch - 1] ?? values.at(-1);
    lines.sort((a, b) => here(b) - here(a));
    y = TOP - ROW; // of labels, which neither overlap nor leave the figure
    lines.forEach((line, i) => {
      const { name, kind, key, values } = line;
      const dots = points(values);
      const short = name.replace(/(.{13}).{2,}/, "$1…").replace(/[&<]/g, (c) => `&#${c.charCodeAt()};`);
      y = Math.max(y + ROW, Math.min(up(here(line)), AXIS + 26 - ROW * (lines.length - 1 - i)));
      marks.push(
        path(`lead bn-${kind}`, `${dots[epoch - 1] ?? dots.at(-1)}L${right + 10} ${y}`),
        path(`curve bn-${kind} bn-${key}`, dots.join("L")),
        path(`point bn-${kind} bn-${key}`, `${dots[epoch - 1] ?? "-9-9"}h0`),
        write(right + 14, short, y - 2, "start", `ink bn-${kind}`),
        write(right + 14, `${WHAT[key]} ${number(values)}`, y + 13, "start", `ink bn-${kind} bn-value`),
      );
    });
    svg.setAttribute("viewBox", `0 0 ${width} ${AXIS + 44}`);
    svg.innerHTML = marks.join("");
    head.textContent = `Accuracy after epoch ${epoch} of ${epochs}`;
    note.textContent = `Training loss:${runs.map(({ name, train_loss }) => ` ${name} ${number(train_loss)}`)}`;
    const said = [...svg.querySelectorAll(".bn-ink")].map((text) => text.textContent).join(" ");
    Object.assign(input, { max: epochs, value: epoch, ariaValueText: `${epoch}: ${said}` });
  }
  for (const name of ["runs", "epochs", "epoch"]) model.on(`change:${name}`, draw);
  const resize = new ResizeObserver(() => {
    width = svg.clientWidth || width;
    draw();
  });
  resize.observe(el);
  draw();
  return () => resize.disconnect();
}

export default { render };
