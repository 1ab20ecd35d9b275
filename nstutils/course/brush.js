// The brush of nstutils.course.brush: paint regions on a picture. The map of regions is one trait, `runs`, that Python reads.

const KEYS =
  "Click the picture, then: arrows move (Shift: one pixel), space paints (hold it and move), [ ] size, a number its region, " +
  "p polygon: space or click sets a corner, Enter closes, Backspace takes one back, Escape drops it; z undo, y redo.";

// region, pixels, region, pixels, ... <-> one region a pixel
function decode(runs, count) {
  const labels = new Uint8Array(count);
  let at = 0;
  for (let i = 0; i < runs.length; i += 2) labels.fill(runs[i], at, (at += runs[i + 1]));
  return labels;
}

function encode(labels) {
  const runs = [];
  for (let begin = 0, i = 1; i <= labels.length; i++) {
    if (i === labels.length || labels[i] !== labels[begin]) {
      runs.push(labels[begin], i - begin);
      begin = i;
    }
  }
  return runs;
}

// all pixels within a radius of a point get a region
function disc(map, x, y, radius, region) {
  for (let row = Math.max(0, Math.ceil(y - radius)); row <= Math.min(map.height - 1, y + radius); row++) {
    const half = Math.sqrt(radius ** 2 - (row - y) ** 2);
    const first = Math.max(0, Math.ceil(x - half));
    const last = Math.min(map.width - 1, Math.floor(x + half));
    if (first <= last) map.labels.fill(region, row * map.width + first, row * map.width + last + 1);
  }
}

function stroke(map, from, to, radius, region) {
  const steps = Math.ceil(Math.hypot(to.x - from.x, to.y - from.y) / Math.max(1, radius / 3)) || 1;
  for (let i = 0; i <= steps; i++) {
    const share = i / steps;
    disc(map, from.x + share * (to.x - from.x), from.y + share * (to.y - from.y), radius, region);
  }
}

// the inside of a polygon gets a region: between the crossings of each row with its sides
function fill(map, corners, region) {
  for (let row = 0; row < map.height; row++) {
    const crossings = [];
    corners.forEach((a, i) => {
      const b = corners[(i + 1) % corners.length];
      const y = row + 0.5;
      if (a.y <= y !== b.y <= y) crossings.push(a.x + ((y - a.y) / (b.y - a.y)) * (b.x - a.x));
    });
    crossings.sort((a, b) => a - b);
    for (let i = 0; i + 1 < crossings.length; i += 2) {
      const first = Math.max(0, Math.ceil(crossings[i] - 0.5));
      const end = Math.min(map.width, Math.ceil(crossings[i + 1] - 0.5));
      if (first < end) map.labels.fill(region, row * map.width + first, row * map.width + end);
    }
  }
}

// where to write a region's number: in its longest rows of pixels, the middle of the middle one
function middle({ labels, width }, region) {
  let longest = 1, places = [];
  for (let i = 0, begin = 0; i < labels.length; i++) {
    if (i % width === 0 || labels[i] !== labels[i - 1]) begin = i;
    const length = i - begin + 1;
    if (labels[i] !== region || length < longest) continue;
    if (length > longest) places = [];
    longest = length;
    places.push({ x: (begin % width) + length / 2, y: Math.floor(i / width) + 0.5 });
  }
  return places[places.length >> 1];
}

function element(kind, facts = {}, ...children) {
  const { style, ...rest } = facts;
  const made = document.createElement(kind);
  for (const [name, value] of Object.entries(rest)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  for (const [name, value] of Object.entries(style ?? {})) made.style.setProperty(name, value);
  made.append(...children);
  return made;
}

function render({ model, el }) {
  const [width, height, count] = ["width", "height", "regions"].map((name) => model.get(name));
  const colours = model.get("colours");
  const map = { width, height, labels: decode(model.get("runs"), width * height) };
  let runs = model.get("runs");
  let region = Math.min(1, count - 1); // the picture begins as region 1, so most readers want to paint region 2
  let size = Math.max(4, Math.round(Math.min(width, height) / 8));
  let polygon = false, keys = false, pen = null;
  let corners = [];
  let cursor = { x: Math.round(width / 2), y: Math.round(height / 2) };
  const undone = [], done = [];
  let stale = true, shares = [], middles = []; // what is drawn of the map, and whether that is still true

  // what is on the page
  const tint = element("canvas", { width, height, "aria-hidden": "true" });
  const top = element("canvas", { tabIndex: 0, role: "application", className: "nst-top" });
  top.setAttribute("aria-label", `The picture, to paint ${count} regions on. ${KEYS}`);
  const picture = element("img", { src: model.get("picture"), alt: "", draggable: false });
  const stage = element("div", { className: "nst-stage", style: { "aspect-ratio": `${width} / ${height}` } }, picture, tint, top);
  const told = element("div", { className: "nst-told", role: "status", "aria-live": "polite" });
  const button = (words, title, act, facts = {}) => element("button", { type: "button", title, onclick: act, ...facts }, words);
  const choices = colours.map((colour, i) =>
    button(`${i + 1}`, `Paint region ${i + 1}`, () => choose(i), { className: "nst-region", style: { "--colour": colour } }));
  const tools = [
    button("Brush", "Paint by dragging (b)", () => setTool(false)),
    button("Polygon", "Set corners, Enter closes (p)", () => setTool(true)),
  ];
  const slider = element("input", { type: "range", min: 2, max: Math.round(Math.min(width, height) / 2), value: size });
  slider.oninput = () => setSize(Number(slider.value));
  const undoButton = button("Undo", "Undo (z)", () => step(done, undone));
  const redoButton = button("Redo", "Redo (y)", () => step(undone, done));
  const bar = element("div", { className: "nst-bar", role: "toolbar", "aria-label": "Tools of the brush" },
    element("span", {}, "Region"), ...choices, ...tools, element("label", {}, "Size ", slider), undoButton, redoButton,
    button("Clear", "All of the picture is region 1 again", clear));
  el.classList.add("nst-brush");
  el.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab: z would undo a cell
  el.append(bar, stage, told, element("div", { className: "nst-keys" }, KEYS));

  // what can be done
  function choose(number) { region = number; show(); }
  function setTool(to) { polygon = to; corners = []; show(); }
  function setSize(to) { size = Math.min(Number(slider.max), Math.max(2, to)); slider.value = size; show(); }
  function clear() { map.labels.fill(0); corners = []; keep(); }
  function paint(to) { stroke(map, pen ?? to, to, size / 2, region); pen = to; stale = true; }
  function close() {
    if (corners.length > 2) fill(map, corners, region);
    corners = [];
    keep();
  }
  function keep() { // the map as it stands now is the state; what it was can be undone
    stale = true;
    const now = encode(map.labels);
    if (now.join() !== runs.join()) {
      done.push(runs);
      done.splice(0, done.length - 100);
      undone.length = 0;
      send(now);
    }
    show();
  }
  function step(from, to) {
    if (from.length) {
      to.push(runs);
      send(from.pop());
      map.labels = decode(runs, width * height);
      stale = true;
    }
    show();
  }
  function send(now) {
    runs = now;
    model.set("runs", runs);
    model.save_changes();
  }
  function changed() { // by Python, or by another view of the same brush
    if (model.get("runs").join() === runs.join()) return;
    done.push(runs);
    runs = model.get("runs");
    map.labels = decode(runs, width * height);
    stale = true;
    show();
  }
  function corner(place) {
    const near = (a, b) => Math.hypot(a.x - b.x, a.y - b.y) * scale() < 9;
    if (corners.length > 2 && near(corners[0], place)) close();
    else corners.push(place);
    show();
  }

  // pointer: mouse, touch and pen
  const scale = () => (top.clientWidth || width) / width;
  function place(event) {
    const box = top.getBoundingClientRect();
    const snap = (value, end) => (value * scale() < 6 ? 0 : (end - value) * scale() < 6 ? end : value); // reach the border
    const x = ((event.clientX - box.left) / box.width) * width;
    const y = ((event.clientY - box.top) / box.height) * height;
    return polygon ? { x: snap(x, width), y: snap(y, height) } : { x: x - 0.5, y: y - 0.5 };
  }
  top.onpointerdown = (event) => {
    if (event.button !== 0) return;
    top.focus({ preventScroll: true });
    keys = false;
    cursor = place(event);
    if (polygon) return corner(cursor);
    top.setPointerCapture(event.pointerId);
    paint(cursor);
    show();
  };
  top.onpointermove = (event) => {
    keys = false;
    cursor = place(event);
    if (pen) paint(cursor);
    show();
  };
  const lift = () => { if (pen) { pen = null; keep(); } };
  top.onpointerup = lift;
  top.onpointercancel = lift;
  top.onblur = lift;
  top.onfocus = show;
  top.ondblclick = () => { if (polygon) close(); };

  // keyboard
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  function move([x, y], far) {
    const limit = (value, end) => Math.min(end, Math.max(0, value));
    cursor = { x: limit(cursor.x + far * x, width - 1), y: limit(cursor.y + far * y, height - 1) };
    if (pen) paint(cursor);
  }
  function press() {
    if (polygon) corner(cursor);
    else paint(cursor);
  }
  const acts = {
    " ": press, Enter: close, Escape: () => { corners = []; }, Backspace: () => corners.pop(),
    "[": () => setSize(Math.floor(size / 1.25)), "]": () => setSize(Math.ceil(size * 1.25)),
    b: () => setTool(false), p: () => setTool(true), z: () => step(done, undone), y: () => step(undone, done),
  };
  top.onkeydown = (event) => {
    const act = acts[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    const number = Number(event.key);
    if (arrows[event.key]) move(arrows[event.key], event.shiftKey ? 1 : Math.max(1, Math.round(size / 4)));
    else if (number >= 1 && number <= count) choose(number - 1);
    else if (act) { if (!(event.repeat && event.key === " ")) act(); }
    else return; // Tab, for instance, goes on to the next control
    keys = true;
    event.preventDefault();
    show();
  };
  top.onkeyup = (event) => { if (event.key === " ") lift(); };

  // what is seen
  let asked = 0;
  function show() { asked ||= requestAnimationFrame(() => { asked = 0; draw(); }); }
  function draw() {
    if (stale) drawMap();
    drawTop();
    const [column, row] = [[cursor.x, width], [cursor.y, height]].map(([at, end]) => Math.min(end - 1, Math.max(0, Math.round(at))));
    told.textContent = (polygon ? `Polygon, ${corners.length} corners` : `Brush, ${size} pixels wide`) + `, paints region ${region + 1}. ` +
      "Area: " + shares.map((share, i) => `region ${i + 1} ${Math.round(100 * share)} %`).join(", ") + "." +
      (keys ? ` At ${column}, ${row}, in region ${map.labels[row * width + column] + 1}.` : "");
    choices.forEach((choice, i) => choice.setAttribute("aria-pressed", i === region));
    tools.forEach((tool, i) => tool.setAttribute("aria-pressed", Boolean(i) === polygon));
    undoButton.disabled = !done.length;
    redoButton.disabled = !undone.length;
  }
  function drawMap() { // tints, and a white line between regions
    const { labels } = map;
    const context = tint.getContext("2d");
    const data = context.createImageData(width, height);
    const paints = colours.map((colour) => [...[1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16)), 90]);
    const counts = colours.map(() => 0);
    for (let i = 0; i < labels.length; i++) {
      const border = ((i + 1) % width && labels[i + 1] !== labels[i]) || (i + width < labels.length && labels[i + width] !== labels[i]);
      for (let k = 0; k < 4; k++) data.data[4 * i + k] = border ? 255 : paints[labels[i]][k];
      counts[labels[i]]++;
    }
    context.putImageData(data, 0, 0);
    shares = counts.map((count) => count / labels.length);
    middles = colours.map((_, i) => middle(map, i));
    stale = false;
  }
  function drawTop() {
    const dots = window.devicePixelRatio || 1;
    const [wide, high] = [top.clientWidth, top.clientHeight].map((side) => Math.round(side * dots));
    if (top.width !== wide || top.height !== high) Object.assign(top, { width: wide, height: high });
    const context = top.getContext("2d");
    context.setTransform(dots, 0, 0, dots, 0, 0);
    context.clearRect(0, 0, wide, high);
    const s = scale();
    const twice = (path) => [["black", 4], ["white", 2]].forEach(([colour, line]) => {
      Object.assign(context, { strokeStyle: colour, lineWidth: line, lineJoin: "round" });
      context.beginPath();
      path();
      context.stroke();
    });
    colours.forEach((colour, i) => {
      const at = middles[i];
      if (!at) return;
      context.beginPath();
      context.arc(at.x * s, at.y * s, 11, 0, 7);
      Object.assign(context, { fillStyle: "white", strokeStyle: colour, lineWidth: 4 });
      context.fill();
      context.stroke();
      Object.assign(context, { fillStyle: "black", font: "bold 13px sans-serif", textAlign: "center", textBaseline: "middle" });
      context.fillText(i + 1, at.x * s, at.y * s + 1);
    });
    if (corners.length) twice(() => {
      [...corners, cursor].forEach(({ x, y }, i) => (i ? context.lineTo(x * s, y * s) : context.moveTo(x * s, y * s)));
      corners.forEach(({ x, y }) => { context.moveTo(x * s + 3, y * s); context.arc(x * s, y * s, 3, 0, 7); });
    });
    const x = (cursor.x + 0.5) * s, y = (cursor.y + 0.5) * s, r = polygon ? 5 : (size / 2) * s;
    if (document.activeElement === top || !keys) twice(() => {
      context.arc(x, y, r, 0, 7);
      if (!keys) return;
      [[1, 0], [0, 1]].forEach(([dx, dy]) => { context.moveTo(x - 8 * dx, y - 8 * dy); context.lineTo(x + 8 * dx, y + 8 * dy); });
    });
  }

  const sized = new ResizeObserver(show);
  sized.observe(top);
  model.on("change:runs", changed);
  show();
  return () => {
    sized.disconnect();
    model.off("change:runs", changed);
  };
}

export default { render };
