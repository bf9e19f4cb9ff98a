// A quiz on a chapter. Choose an answer, and beside it stands whether it is right, and why.

const escape = (text) => text.replace(/[&<"]/g, (c) => `&#${c.charCodeAt()};`);

function render({ model, el }) {
  el.classList.add("bn-figure");
  let shows = [];
  function build() {
    const boxes = model.get("questions").map(({ question, answers }) => {
      const group = Math.random();
      const label = ([answer]) => `<label>${escape(answer)}<input type="radio" name="${group}"></label>`;
      return `<fieldset class="bn-question"><legend>${escape(question)}</legend>
        ${answers.map(label).join("")}<p aria-live="polite"></p></fieldset>`;
    });
    el.innerHTML = boxes.join("");
    shows = model.get("questions").map(({ answers, right, see }, i) => {
      const box = el.children[i];
      const radios = [...box.querySelectorAll("input")];
      const said = box.querySelector("p");
      const show = () => {
        const k = model.get("chosen")[i];
        const words = answers[k] ? `${k === right ? "Right" : "Wrong"}.\n${answers[k][1]}` : "";
        radios.forEach((radio, j) => (radio.checked = j === k));
        if (words === (said.firstChild?.data ?? "")) return; // or it would be read out again
        const link = words && `<a href="${escape(see[1])}">See: ${escape(see[0])}</a>`;
        said.innerHTML = escape(words) + link;
        said.dataset.right = k === right;
      };
      box.onchange = ({ target }) => {
        model.set("chosen", model.get("chosen").with(i, radios.indexOf(target)));
        model.save_changes();
      };
      show();
      return show;
    });
  }
  model.on("change:questions", build);
  model.on("change:chosen", () => shows.forEach((show) => show()));
  build();
}

export default { render };
