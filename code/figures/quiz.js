// A quiz on a chapter. Choose an answer, and beside it stands whether it is right, and why.

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
  function build() {
    el.textContent = "";
    model.get("questions").forEach(({ question, answers, right, see }, i) => {
      const box = add(el, "fieldset", { class: "bn-question" });
      add(box, "legend", {}, question);
      const name = `bn-${Math.random()}`;
      const radios = answers.map(([a]) => add(add(box, "label", {}, a), "input", { type: "radio", name }));
      const said = add(box, "p", { "aria-live": "polite" });
      const show = () => {
        const k = model.get("chosen")[i];
        const words = answers[k] ? `${k === right ? "Right" : "Wrong"}.\n${answers[k][1]}` : "";
        radios.forEach((radio, j) => (radio.checked = j === k));
        if (words === said.firstChild?.data) return; // or it would be read out again
        said.textContent = words;
        said.dataset.right = k === right;
        if (words) add(said, "a", { href: see[1] }, `See: ${see[0]}`);
      };
      box.onkeydown = (event) => event.stopPropagation(); // a notebook has keys of its own
      box.onchange = ({ target }) => {
        model.set("chosen", model.get("chosen").with(i, radios.indexOf(target)));
        model.save_changes();
      };
      model.on("change:chosen", show);
      show();
    });
  }
  model.on("change:questions", build);
  build();
}

export default { render };
