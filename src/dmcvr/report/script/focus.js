// Wheel and touch scroll the page, unless a pane is focused: then they are the pane's. Escape lets go.
function ownWhenFocused(canvas, pane) {
  const focused = () => document.activeElement === canvas;
  for (const kind of ["wheel", "touchstart", "touchmove", "touchend", "touchcancel"])
    pane.addEventListener(kind, (event) => { if (!focused()) event.stopPropagation(); }, { capture: true, passive: true });
  canvas.addEventListener("focus", () => pane.classList.add("active"));
  canvas.addEventListener("blur", () => pane.classList.remove("active"));
  canvas.addEventListener("keydown", (event) => { if (event.key === "Escape") canvas.blur(); }, true);
}
