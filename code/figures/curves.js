// Learning curves. Two panels, of training and of test accuracy over the epochs, with a line for each
// run; below, the numbers of one epoch, chosen by pointing at a panel or with the slider. While a net
// trains, its run grows.

const PANELS = { train_acc: "training accuracy", test_acc: "test accuracy" };
const NUMBERS = { train_loss: "loss", ...PANELS };
const [HEIGHT, LEFT, RIGHT, ABOVE, BELOW] = [220, 34, 12, 30, 26]; // px

// A child of `parent`; what is in an <svg> is of the SVG namespace.
function add(parent, tag, attributes = {}, text = "") {
  const space = tag === "svg" ? "http://www.w3.org/2000/svg" : parent.namespaceURI;
  const node = document.createElementNS(space, tag);
  for (const name in attributes) node.setAttribute(name, attributes[name]);
  node.textContent = text;
  parent.append(node);
  return node;
}

function render({ model, el }) {
  el.classList.add("bn-figure");
  const panels = add(el, "div", { class: "bn-panels" });
  const svgs = Object.values(PANELS).map((title) => add(panels, "svg", { role: "img", "aria-label": title }));
  const label = add(add(el, "div", { class: "bn-controls" }), "label", {}, "epoch");
  const slider = add(label, "input", { type: "range", min: 1, step: 1 });
  const shown = add(label, "output");
  const words = add(el, "div", { "aria-live": "polite" });

  const choose = (epoch) => {
    model.set("epoch", epoch);
    model.save_changes();
  };
  slider.addEventListener("input", () => choose(Number(slider.value)));
  let width = 320;
  const place = (epoch) =>
    LEFT + ((width - LEFT - RIGHT) * (epoch - 1)) / Math.max(1, model.get("epochs") - 1);
  const level = (value) => HEIGHT - BELOW - (HEIGHT - ABOVE - BELOW) * value;
  for (const svg of svgs) {
    svg.addEventListener("pointermove", (event) => {
      const x = event.clientX - svg.getBoundingClientRect().left;
      const epoch = 1 + ((x - LEFT) * (model.get("epochs") - 1)) / (width - LEFT - RIGHT);
      choose(Math.max(1, Math.round(epoch)));
    });
  }

  function draw() {
    const runs = model.get("runs"),
      epochs = model.get("epochs");
    const last = Math.max(1, ...runs.map((run) => run.train_acc.length));
    const epoch = Math.min(model.get("epoch") || last, last);
    slider.max = last;
    slider.value = epoch;
    shown.textContent = `${epoch} of ${epochs}`;
    Object.keys(PANELS).forEach((key, k) => {
      const svg = svgs[k];
      svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
      svg.replaceChildren();
      add(svg, "text", { x: LEFT, y: 16, class: "bn-title" }, PANELS[key]);
      for (const value of [0, 0.5, 1]) {
        add(svg, "path", { class: "bn-grid", d: `M${LEFT} ${level(value)}H${width - RIGHT}` });
        add(svg, "text", { x: LEFT - 6, y: level(value) + 5, "text-anchor": "end" }, value);
      }
      for (const e of [1, epochs])
        add(svg, "text", { x: place(e), y: HEIGHT - 6, "text-anchor": "middle" }, e);
      add(svg, "path", { class: "bn-line", d: `M${place(epoch)} ${ABOVE}V${HEIGHT - BELOW}` });
      for (const run of runs) {
        const points = run[key].map((value, i) => `${place(i + 1)} ${level(value)}`);
        add(svg, "path", {
          class: `bn-curve bn-${run.kind}`,
          d: points.length ? `M${points.join("L")}` : "",
        });
        if (epoch > points.length) continue;
        const [cx, cy] = points[epoch - 1].split(" ");
        add(svg, "circle", { class: `bn-dot bn-${run.kind}`, cx, cy, r: 5 });
      }
    });
    words.replaceChildren();
    for (const run of runs) {
      const number = (key) => `${NUMBERS[key]} ${run[key][epoch - 1]?.toFixed(3) ?? "–"}`;
      const line = add(words, "p");
      add(line, "strong", { class: `bn-key bn-${run.kind}` }, run.name);
      line.append(Object.keys(NUMBERS).map(number).join(", "));
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
