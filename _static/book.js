// The theme lets the keyboard scroll wide code, but only code that was visible when the
// page was loaded or resized. Ask it to look again when something is unfolded.
document.addEventListener("click", (event) => {
  if (event.target.closest("summary, .toggle-button, .admonition-title")) {
    window.dispatchEvent(new Event("resize"));
  }
});
// The theme writes what these buttons do into the page, where a server may forbid code.
document.addEventListener("click", (event) => {
  window[event.target.closest("[data-call]")?.dataset.call]?.();
});
