// What dragging in a cut does besides moving the crosshair: window and level, and a ruler.

// Window and level: `low` and `high` in bytes of the embedded pictures; sliders, presets and words in the exam's own greys.
function makeWindow(range, apply) {
  const unit = (range.most - range.least) / 255;
  let low = 0, high = 255, asked = false;
  const grey = (byte) => range.least + byte * unit;
  const words = (value) => Number(value.toPrecision(3)).toString();
  function show() {
    const level = grey((low + high) / 2), width = (high - low) * unit;
    $("level").value = level;
    $("width").value = width;
    $("window-words").textContent = `level ${words(level)}, width ${words(width)}`;
    for (const button of document.querySelectorAll("#presets button")) {
      const [a, b] = range.presets[button.value];
      button.setAttribute("aria-pressed", String(Math.abs(grey(low) - a) + Math.abs(grey(high) - b) < unit));
    }
  }
  function set(newLow, newHigh) {
    const width = Math.max(2, newHigh - newLow), level = Math.min(255, Math.max(0, (newLow + newHigh) / 2));
    [low, high] = [level - width / 2, level + width / 2];
    show();
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; apply(low, high); });
  }
  const byte = (value) => (value - range.least) / unit;
  for (const id of ["level", "width"])
    $(id).addEventListener("input", () => {
      const level = byte(Number($("level").value)), half = Number($("width").value) / unit / 2;
      set(level - half, level + half);
    });
  for (const button of document.querySelectorAll("#presets button"))
    button.addEventListener("click", () => set(...range.presets[button.value].map(byte)));
  [low, high] = Object.values(range.presets)[0].map(byte);
  show();
  return {
    get low() { return low; },
    get high() { return high; },
    // a drag of (right, down) pixels: wider to the right, brighter upwards, as on a workstation
    drag(from, right, down) {
      const width = Math.max(2, (from.high - from.low) * Math.exp(right / 200));
      const level = (from.low + from.high) / 2 + (down * (from.high - from.low)) / 300;
      set(level - width / 2, level + width / 2);
    },
  };
}

// A ruler between two points in mm: drawn in every cut whose plane holds both.
function makeRuler(cuts, crosshair, halfVoxel) {
  let ends = null, following = false;
  const AXES = [[0, 1, 2], [0, 2, 1], [1, 2, 0]]; // across, up and through: axial, coronal, sagittal
  const length = () => Math.hypot(...[0, 1, 2].map((k) => ends[1][k] - ends[0][k]));
  function onScreen(nv, slice, mm) {
    const [u, v] = AXES[slice.axCorSag];
    let [left, top, width, height] = slice.leftTopWidthHeight;
    let across = (mm[u] - slice.leftTopMM[0]) / slice.fovMM[0];
    if (width < 0) { left += width; width = -width; across = 1 - across; }
    const up = (mm[v] - slice.leftTopMM[1]) / slice.fovMM[1];
    return [(left + across * width) / nv.uiData.dpr, (top + (1 - up) * height) / nv.uiData.dpr];
  }
  function draw() {
    const at = crosshair();
    for (const name in cuts) {
      const drawing = $(`ruler-${name}`);
      drawing.replaceChildren();
      if (!ends) continue;
      for (const slice of cuts[name].screenSlices) {
        const through = AXES[slice.axCorSag]?.[2];
        if (through === undefined || ends.some((end) => Math.abs(end[through] - at[through]) > halfVoxel())) continue;
        const [a, b] = ends.map((end) => onScreen(cuts[name], slice, end));
        const add = (kind, attributes) => {
          const part = document.createElementNS("http://www.w3.org/2000/svg", kind);
          for (const key in attributes) part.setAttribute(key, attributes[key]);
          return drawing.appendChild(part);
        };
        for (const role of ["halo", "line"]) add("line", { x1: a[0], y1: a[1], x2: b[0], y2: b[1], class: role });
        for (const [x, y] of [a, b]) add("circle", { cx: x, cy: y, r: 3.5 });
        add("text", { x: (a[0] + b[0]) / 2 + 8, y: (a[1] + b[1]) / 2 - 8 }).textContent = `${length().toFixed(1)} mm`;
      }
    }
    $("ruler-words").textContent = ends ? `${length().toFixed(1)} mm` : "nothing yet";
    $("ruler-clear").disabled = !ends;
    $("ruler-mark").textContent = following ? "End at the crosshair" : "Start at the crosshair";
  }
  return {
    draw,
    start(mm) { ends = [mm, mm]; following = false; draw(); },
    to(mm) { if (ends) ends[1] = mm; draw(); },
    mark() {
      following = !following;
      if (following) ends = [crosshair(), crosshair()];
      draw();
    },
    clear() { ends = null; following = false; draw(); },
    follow() { if (following) ends[1] = crosshair(); draw(); },
  };
}

// Dragging in a cut: the chosen tool's, with the right button always the window's. The crosshair's drags are NiiVue's.
function dragWith(canvas, half, nv, greys, ruler) {
  let drag = null;
  const chosen = () => document.querySelector("input[name=tool]:checked").value;
  function at(event) {
    const box = canvas.getBoundingClientRect(), dpr = nv.uiData.dpr;
    const place = [(event.clientX - box.left) * dpr, (event.clientY - box.top) * dpr];
    const fraction = nv.canvasPos2frac(place);
    return { tile: nv.tileIndex(...place), mm: fraction[0] < 0 ? null : [...nv.frac2mm(fraction)].slice(0, 3) };
  }
  half.addEventListener("pointerdown", (event) => {
    const tool = event.button === 2 ? "window" : chosen();
    if (tool === "crosshair" || (event.pointerType === "touch" && document.activeElement !== canvas)) return;
    const { tile, mm } = at(event);
    if (tool === "ruler" && !mm) return;
    drag = { tool, tile, x: event.clientX, y: event.clientY, low: greys.low, high: greys.high };
    half.setPointerCapture(event.pointerId);
    canvas.focus({ preventScroll: true });
    if (tool === "ruler") ruler.start(mm);
  });
  half.addEventListener("pointermove", (event) => {
    if (!drag) return;
    if (drag.tool === "window") return greys.drag(drag, event.clientX - drag.x, event.clientY - drag.y);
    const { tile, mm } = at(event);
    if (mm && tile === drag.tile) ruler.to(mm);
  });
  for (const kind of ["pointerup", "pointercancel"]) half.addEventListener(kind, () => { drag = null; });
  for (const kind of ["mousedown", "mousemove", "mouseup", "touchstart", "touchmove", "touchend", "dblclick"])
    half.addEventListener(kind, (event) => { if (drag || chosen() !== "crosshair") event.stopPropagation(); }, true);
  half.addEventListener("contextmenu", (event) => event.preventDefault());
}
