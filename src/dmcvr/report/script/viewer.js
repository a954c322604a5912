// The page's own script: loads what is embedded, keeps three canvases and their controls together.
const $ = (id) => document.getElementById(id);
const embedded = $("data");
if (embedded) {
  start(JSON.parse(embedded.textContent)).catch((error) => {
    $("panes").hidden = true;
    $("status").hidden = true;
    $("viewer-failed").hidden = false;
    $("viewer-failed").textContent = `The viewer could not start in this browser (${error.message}). It needs WebGL 2; the pictures below show the same heart.`;
    document.documentElement.dataset.viewer = "failed";
  });
}

async function start(data) {
  const { Niivue, NVImage, SLICE_TYPE, DRAG_MODE } = globalThis.niivue;
  const LABELS = Object.keys(data.structures);
  const common = {
    logLevel: "error", dragAndDropEnabled: false, isOrientationTextVisible: false, isRadiologicalConvention: true, loadingText: "",
    dragMode: DRAG_MODE.none, scrollRequiresFocus: true, clipPlaneHotKey: "", viewModeHotKey: "", cycleClipPlaneHotKey: "",
    crosshairWidthUnit: "mm", crosshairWidth: 0.7, crosshairColor: [1, 1, 1, 0.75], multiplanarShowRender: 0,
  };
  const solid = new Niivue({ ...common, show3Dcrosshair: true, crosshairWidth: 0.9 });
  const cuts = { dense: new Niivue(common) };
  if ($("acquired")) cuts.acquired = new Niivue({ ...common, isNearestInterpolation: true });
  const planar = Object.values(cuts);
  await solid.attachToCanvas($("solid"), true);
  for (const name in cuts) await cuts[name].attachToCanvas($(name), true);
  for (const name in cuts) $(name).parentElement.style.backgroundColor = "#000";
  ownWhenFocused($("solid"), $("solid").parentElement);
  for (const name in cuts) ownWhenFocused($(name), $(name).parentElement);
  // short axis over the two long axes, as large as the width allows
  const [across, up, along] = data.sets[0].shape;
  const top = up / across, bottom = along / (across + up);
  const share = top / (top + bottom);
  $("cuts").style.setProperty("--aspect", 1 / (top + bottom + 0.02));
  const tiles = [
    { sliceType: SLICE_TYPE.AXIAL, position: [0, 0, 1, share - 0.008] },
    { sliceType: SLICE_TYPE.CORONAL, position: [0, share, across / (across + up) - 0.005, 1 - share] },
    { sliceType: SLICE_TYPE.SAGITTAL, position: [across / (across + up) + 0.005, share, up / (across + up) - 0.005, 1 - share] },
  ];

  // volumes: each set is read when it is first shown
  const loaded = new Map();
  let current = null;
  const greys = makeWindow(data.window, (low, high) => {
    for (const parts of loaded.values()) for (const key in cuts) [parts[key][0].cal_min, parts[key][0].cal_max] = [low, high];
    for (const nv of planar) nv.updateGLVolume();
  });
  const white = { R: [0, 255], G: [0, 255], B: [0, 255], A: [0, 255], I: [0, 1], labels: ["", ""] };
  const tint = { R: [0, data.between[0]], G: [0, data.between[1]], B: [0, data.between[2]], A: [0, 255], I: [0, 1], labels: ["", ""] };
  const heat = [[255, 214, 102], [255, 160, 61], [240, 96, 48], [204, 34, 68]]; // by steps, from a little unsure on
  const unsure = {
    R: [0, ...heat.map((c) => c[0])], G: [0, ...heat.map((c) => c[1])], B: [0, ...heat.map((c) => c[2])],
    A: [0, 255, 255, 255, 255], I: [0, 1, 2, 3, 4], labels: ["", "", "", "", ""],
  };
  const rgb = (k) => [0, ...LABELS.map((label) => data.structures[label].rgb[k])];
  const colours = {
    R: rgb(0), G: rgb(1), B: rgb(2), A: [0, ...LABELS.map(() => 255)], I: [0, ...LABELS.map(Number)],
    labels: ["", ...LABELS.map((label) => data.structures[label].name)],
  };
  async function volume(base64, name, table, opacity) {
    const options = { base64, name: `${name}.nii.gz`, colormap: "gray", opacity, cal_min: table ? 0 : greys.low, cal_max: table ? NaN : greys.high };
    const image = await NVImage.loadFromBase64(options);
    if (table) image.setColormapLabel(table);
    return image;
  }
  async function read(set) {
    if (!loaded.has(set.name)) {
      const tinted = on("show-between") ? 0.25 : 0;
      const parts = { dense: [await volume(set.image, "dense"), await volume(set.between, "between", tint, tinted), await volume(set.labels, "labels", colours, labelOpacity())] };
      for (const [name, table, opacity] of [["completed", white, hatchOpacity()], ["unsure", unsure, unsureOpacity()]])
        if (set[name]) parts.dense.push((parts[name] = await volume(set[name], name, table, opacity)));
      if (cuts.acquired) parts.acquired = [await volume(set.acquired, "acquired"), await volume(set.between, "between", tint, tinted)];
      loaded.set(set.name, parts);
    }
    return loaded.get(set.name);
  }

  // surfaces: all phases at once, one of them visible
  const meshes = [];
  for (const [phase, structures] of data.meshes.entries())
    for (const label of ["1", "3", "2"]) // the see-through wall last
      if (structures[label])
        meshes.push({ phase, label, ...(await surfaceOf(structures[label], data.structures[label], solid.gl)) });
  const frames = framesOf(data.heights_mm, meshes, solid.gl);
  solid.meshes = [...meshes.map(({ mesh }) => mesh), ...(frames ? [frames] : [])];
  const lit = solid.setCustomMeshShader(LIGHT, "heart");
  for (const { mesh } of meshes) mesh.meshShaderIndex = lit;
  solid.updateGLVolume();
  if (!frames) $("show-planes").parentElement.hidden = true;

  // what is shown follows the controls
  let phase = data.start, playing = false;
  function on(id) { return $(id).checked; }
  function hatchOpacity() { return $("show-completed")?.checked ? 0.55 : 0; }
  function unsureOpacity() { return $("show-unsure")?.checked ? 0.85 : 0; }
  function labelOpacity() { return on("show-labels") ? Number($("opacity-labels").value) : 0; }
  function drawSurfaces() {
    for (const part of meshes) {
      part.mesh.visible = part.phase === phase && on(`show-${part.label}`);
      part.mesh.opacity = Number($(`opacity-${part.label}`).value);
    }
    if (frames) frames.visible = on("show-planes");
    solid.drawScene();
  }
  function drawOverlays() {
    for (const parts of loaded.values()) {
      parts.dense[2].opacity = labelOpacity();
      if (parts.completed) parts.completed.opacity = hatchOpacity();
      if (parts.unsure) parts.unsure.opacity = unsureOpacity();
      for (const name in cuts) parts[name][1].opacity = on("show-between") ? 0.25 : 0;
    }
    for (const nv of planar) nv.updateGLVolume();
  }
  async function showPhase(wanted) {
    phase = wanted;
    const name = data.phases[phase];
    const holds = data.sets.filter((set) => set.phases.includes(name));
    const set = playing ? holds[holds.length - 1] : holds[0];
    const parts = await read(set);
    const frame = set.phases.indexOf(name);
    for (const key in cuts) {
      const nv = cuts[key];
      for (const part of parts[key]) if (part.nFrame4D > 1) part.frame4D = frame;
      if (current === set) nv.updateGLVolume();
      else {
        nv.volumes = [...parts[key]];
        nv.setVolume(parts[key][0], 0);
      }
    }
    current = set;
    drawSurfaces();
    if ($("phase")) {
      $("phase").value = phase;
      $("phase").setAttribute("aria-valuetext", data.spoken[phase]);
      $("phase-name").textContent = data.spoken[phase];
    }
    for (const now of document.querySelectorAll(".now"))
      for (const end of ["x1", "x2"]) now.setAttribute(end, now.dataset.x.split(" ")[phase]);
    describe();
  }

  // one crosshair for all, and what is dragged in the cuts
  const crosshair = () => [...cuts.dense.frac2mm(cuts.dense.scene.crosshairPos)].slice(0, 3);
  const ruler = makeRuler(cuts, crosshair, () => 0.6 * current.spacing_mm);
  for (const name in cuts) dragWith($(name), $(name).parentElement, cuts[name], greys, ruler);
  $("ruler-mark").addEventListener("click", () => ruler.mark());
  $("ruler-clear").addEventListener("click", () => ruler.clear());
  new ResizeObserver(() => requestAnimationFrame(() => ruler.draw())).observe($("cuts"));
  function moveTo(fraction, from) {
    const clamped = fraction.map((value) => Math.min(1, Math.max(0, value)));
    for (const nv of planar) {
      for (let k = 0; k < 3; k++) nv.scene.crosshairPos[k] = clamped[k];
      if (nv !== from) nv.drawScene();
    }
    follow();
  }
  function follow() {
    const at = cuts.dense.scene.crosshairPos;
    const mm = cuts.dense.frac2mm(at);
    solid.scene.crosshairPos = solid.mm2frac([mm[0], mm[1], mm[2]]);
    solid.drawScene();
    for (let k = 0; k < 3; k++) $(`at-${k}`).value = at[k];
    describe();
    ruler.follow();
  }
  function describe() {
    const at = cuts.dense.scene.crosshairPos;
    const mm = cuts.dense.frac2mm(at);
    const heights = data.heights_mm, last = heights.length;
    let where = "";
    if (last) {
      const half = current.spacing_mm / 2 + 1e-3;
      const near = heights.findIndex((z) => Math.abs(z - mm[2]) <= half);
      const above = heights.findIndex((z) => z > mm[2]);
      const number = (n) => data.numbers[n];
      if (near >= 0) where = `at acquired slice ${number(near)} of ${last}`;
      else if (above > 0) where = `between acquired slices ${number(above - 1)} and ${number(above)} (${(mm[2] - heights[above - 1]).toFixed(1)} mm towards the base from ${number(above - 1)})`;
      else where = above === 0 ? `beyond the slice at the apex, ${number(0)}` : `beyond the slice at the base, ${number(last - 1)}`;
    }
    const labels = loaded.get(current.name).dense[2];
    const voxel = labels.mm2vox([mm[0], mm[1], mm[2]]);
    const label = Math.round(labels.getValue(...voxel, labels.frame4D));
    const structure = data.structures[label] ? data.structures[label].name : "outside the labels";
    $("status").textContent = [where, structure].filter(Boolean).join(" · ");
    for (const [k, words] of [[0, "from the middle to the RV's side"], [1, "from the middle to the anterior wall"]])
      $(`at-${k}`).setAttribute("aria-valuetext", `${(mm[k] - data.middle_mm[k]).toFixed(0)} mm ${words}`);
    $("at-2").setAttribute("aria-valuetext", where || `${mm[2].toFixed(0)} mm`);
  }
  for (const nv of planar) nv.onLocationChange = () => moveTo([...nv.scene.crosshairPos], nv);

  // keys
  for (const name in cuts)
    $(name).addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [1, 0, 0], ArrowRight: [-1, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0], PageUp: [0, 0, 1], PageDown: [0, 0, -1] }[event.key];
      event.stopImmediatePropagation();
      if (event.key === "m") ruler.mark();
      if (!step) return;
      event.preventDefault();
      const at = cuts.dense.scene.crosshairPos;
      moveTo(step.map((by, k) => at[k] + by / current.shape[k]));
    }, true);
  $("solid").addEventListener("keydown", (event) => {
    const turn = { ArrowLeft: [-6, 0], ArrowRight: [6, 0], ArrowUp: [0, 6], ArrowDown: [0, -6] }[event.key];
    const zoom = { "+": 1.1, "=": 1.1, "-": 1 / 1.1 }[event.key];
    event.stopImmediatePropagation();
    if (turn) solid.setRenderAzimuthElevation(solid.scene.renderAzimuth + turn[0], solid.scene.renderElevation + turn[1]);
    if (zoom) solid.setScale(solid.scene.volScaleMultiplier * zoom);
    if (turn || zoom) event.preventDefault();
  }, true);

  // controls
  for (const label of LABELS) for (const id of [`show-${label}`, `opacity-${label}`]) $(id).addEventListener("input", drawSurfaces);
  $("show-planes").addEventListener("input", drawSurfaces);
  for (const id of ["show-labels", "opacity-labels", "show-between", "show-completed", "show-unsure"]) $(id)?.addEventListener("input", drawOverlays);
  for (const button of document.querySelectorAll("#seen-from button"))
    button.addEventListener("click", () => lookFrom(solid, meshes, SEEN_FROM[button.value]));
  $("show-crosshair").addEventListener("input", () => {
    for (const nv of planar) nv.setCrosshairWidth(on("show-crosshair") ? 0.7 : 0);
    solid.opts.show3Dcrosshair = on("show-crosshair");
    solid.drawScene();
  });
  for (let k = 0; k < 3; k++)
    $(`at-${k}`).addEventListener("input", () => {
      const at = [...cuts.dense.scene.crosshairPos];
      at[k] = Number($(`at-${k}`).value);
      moveTo(at);
    });
  function compare(how) {
    $("cuts").classList.toggle("wipe", how === "wipe");
    $("wipe-row").hidden = how !== "wipe";
    for (const nv of planar) nv.resizeListener();
    ruler.draw();
  }
  for (const radio of document.getElementsByName("compare")) radio.addEventListener("input", () => compare(radio.value));
  if ($("wipe")) $("wipe").addEventListener("input", () => $("cuts").style.setProperty("--wipe", `${$("wipe").value}%`));
  if ($("phase")) {
    $("phase").addEventListener("input", () => { stop(); showPhase(Number($("phase").value)); });
    $("play").addEventListener("click", () => (playing ? stop() : play()));
  }
  function stop() {
    playing = false;
    $("play").textContent = "▶ Play";
    $("play").setAttribute("aria-pressed", "false");
  }
  async function play() {
    playing = true;
    $("play").textContent = "❚❚ Stop";
    $("play").setAttribute("aria-pressed", "true");
    const beat = data.beat_ms || Math.max(1000, 500 * Math.min(2, data.phases.length));
    const begun = performance.now(), from = phase, count = data.phases.length;
    while (playing) {
      const wanted = (from + Math.floor(((performance.now() - begun) / beat) * count)) % count;
      if (wanted !== phase) await showPhase(wanted);
      await new Promise(requestAnimationFrame);
    }
    await showPhase(phase);
  }
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  function theme() {
    const hex = getComputedStyle(document.documentElement).getPropertyValue("--canvas").trim();
    solid.opts.backColor = [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16) / 255).concat(1);
    solid.opts.crosshairColor = scheme.matches ? [1, 1, 1, 0.6] : [0.25, 0.28, 0.31, 0.6];
    solid.drawScene();
  }
  scheme.addEventListener("change", theme);

  await showPhase(data.start);
  for (const nv of planar) nv.setCustomLayout(tiles);
  solid.setSliceType(SLICE_TYPE.RENDER);
  theme();
  if (cuts.acquired && innerWidth < 600) {
    document.querySelector("input[name=compare][value=wipe]").checked = true;
    compare("wipe");
  }
  for (const id of ["controls", "toolbar", "seen-from"]) $(id).hidden = false;
  lookFrom(solid, meshes, SEEN_FROM.front);
  moveTo([...cuts.dense.mm2frac(data.middle_mm)]);
  if ($("poster")) $("poster").remove();
  performance.mark("first-picture");
  document.documentElement.dataset.viewer = "ready";
}
