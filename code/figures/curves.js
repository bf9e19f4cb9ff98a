// Learning curves: accuracies over the epochs, a line for each run; below, the numbers of one epoch.

const PANELS = { train_acc: "training accuracy", test_acc: "test accuracy" };
const NUMBERS = { train_loss: "loss", ...PANELS };
const [HEIGHT, LEFT, RIGHT, ABOVE, BELOW] = [220, 34, 12, 30, 26]; // px

function render({ model, el }) {
  el.classList.add("bn-figure");
  const panels = Object.values(PANELS).map((title) => `<svg role="img" aria-label="${title}"></svg>`);
  el.innerHTML = `<div class="bn-panels">${panels.join("")}</div>
    <div class="bn-controls">
      <label>epoch <input type="range" min="1" step="1"><output aria-live="off"></output></label>
    </div>
    <div aria-live="polite"></div>`;
  const [slider, shown, words] = ["input", "output", "[aria-live=polite]"].map((s) => el.querySelector(s));
  const svgs = el.querySelectorAll("svg");

  const choose = (epoch) => {
    model.set("epoch", epoch);
    model.save_changes();
  };
  slider.oninput = () => choose(Number(slider.value));
  let width = 320;
  const place = (epoch) =>
    LEFT + ((width - LEFT - RIGHT) * (epoch - 1)) / Math.max(1, model.get("epochs") - 1);
  const level = (value) => HEIGHT - BELOW - (HEIGHT - ABOVE - BELOW) * value;
  for (const svg of svgs) {
    const point = (event) => {
      const x = event.clientX - svg.getBoundingClientRect().left;
      const epoch = 1 + ((x - LEFT) * (model.get("epochs") - 1)) / (width - LEFT - RIGHT);
      choose(epoch > slider.max - 0.5 ? 0 : Math.max(1, Math.round(epoch))); // 0: always the last
    };
    svg.onpointermove = point;
    svg.onpointerdown = point;
  }

  function draw() {
    const [runs, epochs] = [model.get("runs"), model.get("epochs")];
    const last = Math.max(1, ...runs.map((run) => run.train_acc.length));
    const epoch = Math.min(model.get("epoch") || last, last);
    slider.max = last;
    slider.value = epoch;
    shown.textContent = `${epoch} of ${epochs}`;
    const grid = [0, 0.5, 1].map(
      (value) => `<path class="bn-grid" d="M${LEFT} ${level(value)}H${width - RIGHT}"/>
        <text x="${LEFT - 6}" y="${level(value) + 5}" text-anchor="end">${value}</text>`,
    );
    const ends = [1, epochs].map(
      (e) => `<text x="${place(e)}" y="${HEIGHT - 6}" text-anchor="middle">${e}</text>`,
    );
    Object.keys(PANELS).forEach((key, k) => {
      const lines = runs.map(({ kind, [key]: values }) => {
        const points = values.map((value, i) => `${place(i + 1)} ${level(value)}`);
        const [cx, cy] = (points[epoch - 1] ?? "-9 -9").split(" "); // out of sight
        return `<path class="bn-curve bn-${kind}" d="${points.length ? "M" : ""}${points.join("L")}"/>
          <circle class="bn-dot bn-${kind}" cx="${cx}" cy="${cy}" r="5"/>`;
      });
      svgs[k].setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
      svgs[k].innerHTML = `<text class="bn-title" x="${LEFT}" y="16">${PANELS[key]}</text>
        ${grid.join("")}${ends.join("")}
        <path class="bn-line" d="M${place(epoch)} ${ABOVE}V${HEIGHT - BELOW}"/>${lines.join("")}`;
    });
    words.replaceChildren();
    for (const run of runs) {
      const number = (key) => `${NUMBERS[key]} ${run[key][epoch - 1]?.toFixed(3) ?? "–"}`;
      words.insertAdjacentHTML("beforeend", `<p><strong class="bn-key bn-${run.kind}"></strong></p>`);
      words.lastChild.firstChild.textContent = run.name;
      words.lastChild.append(" ", Object.keys(NUMBERS).map(number).join(", "));
    }
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
