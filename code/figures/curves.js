// Learning curves: accuracies over the epochs, a line for each run; below, the numbers of one epoch.

const NUMBERS = { train_loss: "loss", train_acc: "training accuracy", test_acc: "test accuracy" };
const PANELS = Object.entries(NUMBERS).slice(1);
const [TALL, LEFT, TOP, ZERO, AXIS] = [290, 56, 12, 80, 44]; // px; 0 and the axis from the bottom

const write = (x, y, text, anchor = "middle", kind = "quiet") =>
  `<text class="bn-${kind}" x="${x}" y="${y}" text-anchor="${anchor}">${text}</text>`;
// The height of an accuracy is the logarithm of the share of errors.
const level = (value) => Math.log(Math.max(1 - value, 0.001));

function render({ model, el }) {
  el.classList.add("bn-figure");
  const panels = PANELS.map(
    ([, title]) => `<div><p class="bn-head">${title}</p><div class="bn-axis">
      <svg role="img" aria-label="${title}"></svg><input type="range" min="1" aria-label="epoch"></div></div>`,
  );
  el.innerHTML = `<div class="bn-panels">${panels.join("")}</div><p class="bn-lines" aria-live="polite"></p>`;
  const svgs = el.querySelectorAll("svg");
  let [width, last] = [337];
  el.oninput = ({ target }) => {
    model.set("epoch", target.value < last ? Number(target.value) : 0); // 0: always the last
    model.save_changes();
  };

  function draw() {
    const [runs, epochs] = [model.get("runs"), model.get("epochs")];
    last = Math.max(1, ...runs.map((run) => run.train_acc.length));
    const epoch = Math.min(model.get("epoch") || last, last);
    const right = 20 + 8 * Math.min(14, Math.max(...runs.map((run) => run.name.length), 0)); // of names
    el.style.setProperty("--right", `${right}px`);
    const best = Math.max(...runs.flatMap((run) => [...run.train_acc, ...run.test_acc]), 0.9);
    const across = (e) => LEFT + ((width - LEFT - right) * (e - 1)) / Math.max(1, epochs - 1);
    const up = (value) => TALL - ZERO - ((TALL - ZERO - TOP) * level(value)) / level(best) / 1.1;
    const frame = [0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99].map(
      (value) =>
        `<path class="bn-grid" d="M34 ${up(value)}H${width - right}"/>${write(28, up(value) + 5, value, "end")}`,
    );
    for (let e = 1; e <= epochs; e += Math.ceil(epochs / 10)) frame.push(write(across(e), TALL - 20, e));
    frame.push(`<path class="bn-line" d="M${across(epoch)} ${TOP}V${TALL - AXIS}"/>`);
    PANELS.forEach(([key], k) => {
      const end = (run) => run[key].at(-1);
      const marks = [...frame];
      let free = 0; // names do not overlap
      for (const run of runs.filter((run) => end(run) >= 0).sort((a, b) => end(b) - end(a))) {
        const points = run[key].map((value, i) => `${across(i + 1)} ${up(value)}`);
        const name = run.name.replaceAll("<", "&lt;");
        const y = Math.max(free, up(end(run)) + 5);
        free = y + 18;
        marks.push(
          `<path class="bn-curve bn-${run.kind}" d="M${points.join("L")}"/>
          <path class="bn-point bn-${run.kind}" d="M${points[epoch - 1] ?? "-9-9"}h0"/>`,
          write(across(points.length) + 10, y, name, "start", `ink bn-${run.kind}`),
        );
      }
      svgs[k].setAttribute("viewBox", `0 0 ${width} ${TALL}`);
      svgs[k].innerHTML = marks.join("");
      Object.assign(svgs[k].nextSibling, { max: epochs, value: epoch });
    });
    const number = (values) => values[epoch - 1]?.toFixed(3) ?? "–";
    const lines = runs.map((run) => {
      const shown = Object.entries(NUMBERS).map(([key, title]) => `${title} ${number(run[key])}`);
      return `\n${run.name}: ${shown.join(", ")}`;
    });
    el.lastChild.textContent = `Epoch ${epoch} of ${epochs}${lines.join("")}`;
  }
  for (const name of ["runs", "epochs", "epoch"]) model.on(`change:${name}`, draw);
  const resize = new ResizeObserver(() => {
    width = svgs[0].clientWidth || width;
    draw();
  });
  resize.observe(el);
  draw();
  return () => resize.disconnect();
}

export default { render };
