/* The drawing of the graph: nodes with their values and deltas, and contributions that fly along the edges.

   Only what the window shows is in the document. Positions are relative to an origin near the window, because a browser draws
   with single precision, which is too coarse far away from 0. */

const NEAR = 20000, FLIGHT = 620, PRINTED = [700, 560];     // milliseconds; pixels of the drawing on paper

function svg(name, attributes = {}, parent = null, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text) element.textContent = text;
  if (parent) parent.append(element);
  return element;
}

class Graph {
  constructor(tape, state) {
    this.tape = tape;
    this.state = state;
    this.drawing = document.getElementById("drawing");
    this.view = {x: 0, y: 0, scale: 1};
    this.origin = [0, 0];
    const defs = svg("defs", {}, this.drawing);
    for (const kind of ["ahead", "back", "forward", "reverse"]) {
      const marker = svg("marker", {id: `arrow-${kind}`, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7,
                                    orient: "auto-start-reverse"}, defs);
      svg("path", {d: "M0,0.5 L8,4 L0,7.5 z", class: `arrow ${kind}`}, marker);
    }
    this.scene = svg("g", {}, this.drawing);
    [this.edgeLayer, this.nodeLayer, this.labelLayer, this.flightLayer] =
      ["edges", "nodes", "labels", "flights"].map(name => svg("g", {class: name}, this.scene));
    this.shownNodes = new Map();        // node -> its elements
    this.shownEdges = new Map();
    this.inFlight = new Set();          // nodes whose delta waits for a contribution to land
    this.before = state.moment;
    this.measure();
    this.listen();
    this.fold();
    state.listeners.push(changed => this.update(changed));
  }

  fold() {
    this.folded = new Folded(this.tape, this.state.unfolded, this.state.constants);
    this.layout = new Layout(this.folded);
    this.clear();
  }

  clear() {
    this.edgeLayer.replaceChildren();
    this.nodeLayer.replaceChildren();
    this.flightLayer.replaceChildren();
    this.shownNodes.clear();
    this.shownEdges.clear();
    this.inFlight.clear();
  }

  // The window

  measure() {
    this.size = [this.drawing.clientWidth || 600, this.drawing.clientHeight || 500];
  }

  fit(size = null) {
    this.measure();
    this.size = size || this.size;
    const [width, height] = this.size, {left, right, bottom, lanes} = this.layout;
    const far = right + (lanes ? 130 : 0);
    const scale = Math.max(0.08, Math.min(1.25, (width - 30) / (far - left), (height - 40) / bottom));
    Object.assign(this.view, {scale, x: (left + far) / 2 - width / 2 / scale, y: bottom / 2 - height / 2 / scale});
    this.show();
  }

  /* Readable, with the current entry in the window. */
  start() {
    this.fit();
    if (this.view.scale < 0.5) {
      const node = this.folded.nodeOf.get(Math.max(0, this.tape.at(this.state.moment).z));
      this.view.scale = 0.62;
      this.centre([node]);
      if (!this.state.moment) {
        this.view.y = -40;
        this.show();
      }
    }
  }

  zoom(factor, at = null) {
    const [width, height] = this.size, [px, py] = at || [width / 2, height / 2], {view} = this;
    const scale = Math.max(0.08, Math.min(3, view.scale * factor));
    view.x += px / view.scale - px / scale;
    view.y += py / view.scale - py / scale;
    view.scale = scale;
    this.show();
  }

  centre(nodes) {
    const [width, height] = this.size, {view} = this;
    const mean = which => nodes.reduce((sum, node) => sum + which(node), 0) / nodes.length;
    view.x = mean(node => node.x) - width / 2 / view.scale;
    view.y = mean(node => node.y + node.height / 2) - height / 2 / view.scale;
    this.show();
  }

  /* Move the window as little as needed to have the nodes in it; to its middle if they were far away. */
  reveal(nodes) {
    const [width, height] = this.size, {view} = this, margin = 36 / view.scale;
    const [first] = nodes, w = width / view.scale, h = height / view.scale;
    const near = nodes.filter(node => Math.abs(node.x - first.x) < w - 2 * margin - 160
                                      && Math.abs(node.y - first.y) < h - 2 * margin - 80);
    const left = Math.min(...near.map(node => node.x - node.width / 2)) - margin;
    const right = Math.max(...near.map(node => node.x + node.width / 2)) + margin;
    const top = Math.min(...near.map(node => node.y)) - margin, bottom = Math.max(...near.map(node => node.y + node.height)) + margin;
    const x = right - left > w ? (left + right - w) / 2 : Math.min(left, Math.max(view.x, right - w));
    const y = bottom - top > h ? (top + bottom - h) / 2 : Math.min(top, Math.max(view.y, bottom - h));
    if (x === view.x && y === view.y) return;
    if (Math.abs(x - view.x) > w / 2 || Math.abs(y - view.y) > h / 2) {
      this.centre(near);
      return;
    }
    [view.x, view.y] = [x, y];
    this.show();
  }

  show() {
    const [width, height] = this.size, {x, y, scale} = this.view;
    if (Math.hypot(x - this.origin[0], y - this.origin[1]) > NEAR) {
      this.origin = [Math.round(x), Math.round(y)];
      this.clear();
    }
    const [ox, oy] = this.origin;
    this.scene.setAttribute("transform", `scale(${scale}) translate(${ox - x},${oy - y})`);
    this.drawing.classList.toggle("far", scale < 0.3);
    const nodes = new Set(this.layout.visible(x - 40, y, x + width / scale + 40, y + height / scale));
    for (const [node, elements] of this.shownNodes) {
      if (nodes.has(node)) continue;
      elements.group.remove();
      this.shownNodes.delete(node);
    }
    const edges = new Set();
    for (const node of nodes) {
      for (const edge of node.into) edges.add(edge);
      let count = 0;
      for (const edge of node.outOf) if (!edge.far && (count += 1) < 200) edges.add(edge);
    }
    for (const [edge, elements] of this.shownEdges) {
      if (edges.has(edge)) continue;
      elements.forEach(element => element.remove());
      this.shownEdges.delete(edge);
    }
    for (const edge of edges) if (!this.shownEdges.has(edge)) this.addEdge(edge);
    for (const node of nodes) if (!this.shownNodes.has(node)) this.addNode(node);
    this.mark();
  }

  // Elements

  addEdge(edge) {
    const [d, middle] = pathOf(edge, this.layout, this.origin);
    const kind = edge.back ? "back" : "ahead";
    const path = svg("path", {d, class: `edge ${kind}${edge.far ? " stub" : ""}`, "marker-end": `url(#arrow-${kind})`}, this.edgeLayer);
    const elements = [path];
    if (edge.far) {
      const [name] = this.folded.title(edge.from, this.state.moment);
      elements.push(svg("text", {x: middle[0], y: middle[1], class: "stub-name"}, this.edgeLayer, name));
    }
    elements.middle = middle;
    elements.kind = kind;
    this.shownEdges.set(edge, elements);
  }

  addNode(node) {
    const {width, height} = node, [ox, oy] = this.origin;
    const group = svg("g", {class: `node ${node.kind}`, transform: `translate(${node.x - width / 2 - ox},${node.y - oy})`,
                            role: "button", tabindex: -1}, this.nodeLayer);
    svg("rect", {class: "halo", x: -4, y: -4, width: width + 8, height: height + 8, rx: 13}, group);
    svg("rect", {class: "body", width, height, rx: node.kind === "leaf" ? 18 : 9}, group);
    const title = svg("title", {}, group), name = svg("text", {class: "name", x: 10, y: 19}, group);
    const badge = svg("text", {class: "badge", x: width - 9, y: 19}, group);
    const cells = {}, single = node.kind === "constant", half = single ? width - 16 : (width - 20) / 2, high = height - 34;
    for (const [i, what] of (single ? ["value"] : ["value", "delta"]).entries()) {
      const cell = svg("g", {class: `cell ${what}`, transform: `translate(${8 + i * (half + 4)},27)`}, group);
      svg("rect", {width: half, height: high, rx: 4}, cell);
      cells[what] = {cell, content: svg("g", {}, cell), width: half, height: high, key: ""};
    }
    group.addEventListener("click", event => {
      event.stopPropagation();
      if (this.dragged) return;
      if (event.target === badge && node.group >= 0) this.state.toggleLoop(this.tape.groups[node.group].loop);
      else this.state.set({selected: this.folded.member(node, this.state.moment)});
    });
    group.addEventListener("dblclick", () => {
      if (node.group >= 0) this.state.toggleLoop(this.tape.groups[node.group].loop);
      else if (this.tape.evaluated[node.members[0]] >= 0) this.state.goTo(this.tape.evaluated[node.members[0]] + 1);
    });
    this.shownNodes.set(node, {group, title, name, badge, cells, key: ""});
    this.refresh(node);
  }

  /* What a node shows at the moment; the document is touched only where this has changed. */
  refresh(node) {
    const elements = this.shownNodes.get(node), {tape, state} = this;
    if (!elements) return;
    const y = this.folded.member(node, state.moment), [name, operation] = this.folded.title(node, state.moment);
    const many = node.members.length;
    const badge = many > 1 ? node.kind === "entry" || many < 1000 ? `${tape.repetition[y] + 1}/${many}` : `×${many}` : "";
    const key = `${name}|${operation}|${badge}`;
    if (elements.key !== key) {
      elements.key = key;
      const room = Math.floor((node.width - 20) / 7.3) - badge.length - (badge ? 1 : 0);
      const text = operation && name !== operation ? `${name} = ${operation}` : name;
      const short = text.length <= room ? text : operation && operation.length + 4 < room
        ? `${name.slice(0, Math.max(1, room - operation.length - 4))}… = ${operation}` : `${text.slice(0, Math.max(1, room - 1))}…`;
      const [left, right] = operation ? short.split(/ = (.*)/s) : [short];
      elements.name.replaceChildren(svg("tspan", {}, null, left));
      if (right) elements.name.append(svg("tspan", {class: "sign"}, null, " = "), svg("tspan", {class: "operation"}, null, right));
      elements.badge.textContent = badge;
      elements.title.textContent = many > 1 ? `${tape.line(y)}\n${many} repetitions; double-click to unfold the loop` : tape.line(y);
    }
    const hasValue = tape.hasValue(y, state.moment), register = tape.registers[y];
    this.fill(elements.cells.value, hasValue ? register.value : undefined, () => tape.digests[register.value], hasValue);
    if (elements.cells.delta && !this.inFlight.has(node)) {
      const {parts, arrived, complete, known} = tape.delta(y, state.moment);
      const number = complete ? register.delta : known ? `${y}+${arrived}` : undefined;
      this.fill(elements.cells.delta, number, () => complete ? tape.digests[register.delta]
        : sumOf(parts.slice(0, arrived).map(part => tape.digests[part.digest])), known);
      elements.cells.delta.cell.classList.toggle("partial", known && !complete);
    }
    const done = node.kind === "entry" ? hasValue : true, swept = tape.swept[y] >= 0 && tape.swept[y] < state.moment;
    elements.group.classList.toggle("waiting", !done);
    elements.group.classList.toggle("swept", swept);
    const bad = what => register[what] !== undefined && !isFiniteDigest(tape.digests[register[what]]);
    elements.group.classList.toggle("bad", hasValue && bad("value") || swept && bad("delta"));
    if (!state.playing) {
      const words = this.described(y);
      if (elements.words !== words) elements.group.setAttribute("aria-label", elements.words = words);
    }
  }

  fill(cell, number, digestOf, known) {
    const key = `${number}|${known}|${this.state.dark}`;
    if (cell.key === key) return;
    cell.key = key;
    cell.content.replaceChildren();
    cell.cell.classList.toggle("known", known);
    if (!known || number === undefined) {
      if (known) svg("text", {x: cell.width / 2, y: cell.height / 2 + 4, class: "quiet"}, cell.content, "?");
      return;
    }
    const digest = digestOf(), few = fewNumbers(digest);
    if (!few && this.table(cell, digest)) return;
    if (few) {
      const two = few.length > 1, lines = !two ? few : few.length === 2 ? few : [few.slice(0, 2).join(" "), few.slice(2).join(" ")];
      const size = Math.min(two ? 11 : 12.5, (cell.width - 4) / (0.62 * Math.max(...lines.map(line => line.length))));
      lines.forEach((line, i) => svg("text", {x: cell.width / 2, y: cell.height / 2 + 4 + (i - (lines.length - 1) / 2) * 13,
                                              style: `font-size:${size.toFixed(1)}px`}, cell.content, line));
    } else {
      const picture = pictureOf(digest, this.state.dark);
      if (picture) svg("image", {x: 3, y: 3, width: cell.width - 6, height: cell.height - 6, href: picture,
                                 preserveAspectRatio: "none"}, cell.content);
    }
  }

  /* The numbers of a small matrix, on their colours. */
  table({content, width, height}, {full, shape}) {
    const columns = full ? shape[shape.length - 1] : 0, rows = full ? full.length / columns : 0, most = width > 90 ? 4 : 3;
    if (!full || rows > most || columns > most || full.some(Array.isArray)) return false;
    const scale = largest(full.map(magnitude)) || 1, w = (width - 4) / columns, h = (height - 4) / rows, {dark} = this.state;
    const texts = full.map(x => format(x, 2)), size = Math.min(h - 2, 10.5, (w - 2) / (0.61 * Math.max(...texts.map(text => text.length))));
    full.forEach((x, i) => {
      const at = {x: 2 + w * (i % columns), y: 2 + h * Math.floor(i / columns)}, rgb = colour(magnitude(x) / scale, dark);
      svg("rect", {...at, width: w - 0.7, height: h - 0.7, class: "number", style: `fill:${css(rgb)}`}, content);
      svg("text", {x: at.x + w / 2, y: at.y + h / 2 + size * 0.35, style: `font-size:${size.toFixed(1)}px;fill:${readable(rgb)}`}, content, texts[i]);
    });
    return true;
  }

  // A moment

  update(changed) {
    const {state, tape} = this;
    if (changed.has("unfolded") || changed.has("constants")) {
      const node = this.folded.nodeOf.get(Math.max(0, state.shown));
      const at = node && [node.x - this.view.x, node.y - this.view.y];
      this.fold();
      const now = this.folded.nodeOf.get(Math.max(0, state.shown));
      if (now && at) [this.view.x, this.view.y] = [now.x - at[0], now.y - at[1]];
      this.show();
    }
    if (changed.has("moment")) {
      const one = state.moment === this.before + 1, {z, reverse} = tape.at(state.moment);
      this.before = state.moment;
      this.flightLayer.replaceChildren();
      this.inFlight.clear();
      if (z >= 0 && state.follow) {
        const around = tape.entries[z].operands.map(y => this.folded.nodeOf.get(y)).filter(Boolean);
        this.reveal([this.folded.nodeOf.get(z), ...around]);
      }
      if (one && reverse && this.flies()) this.fly(z);
    }
    if (changed.has("selected") && state.selected >= 0 && this.folded.nodeOf.has(state.selected)) {
      this.reveal([this.folded.nodeOf.get(state.selected)]);
    }
    this.mark();
    if (changed.has("unfolded") || changed.has("constants") || !this.told) this.tell();
  }

  flies() {
    return this.state.speed <= 2 && !matchMedia("(prefers-reduced-motion: reduce)").matches;
  }

  /* Bring what is shown to the moment: contents, the current entry, its edges and its formulas. */
  mark() {
    const {state, tape} = this, {z, reverse} = tape.at(state.moment);
    for (const node of this.shownNodes.keys()) this.refresh(node);
    const current = z >= 0 ? this.folded.nodeOf.get(z) : null;
    const touched = new Map();          // node -> how the step concerns it
    const edges = new Map();            // edge -> the rules whose contributions it carries
    if (current) {
      const rules = new Map((tape.entries[z].rules || []).map(rule => [rule[0], rule]));
      tape.entries[z].operands.forEach((y, position) => {
        const node = this.folded.nodeOf.get(y), rule = rules.get(position);
        if (!node || reverse && !rule) return;
        touched.set(node, reverse ? "receives" : "read");
        const edge = this.folded.edge(y, z);
        if (!edges.has(edge)) edges.set(edge, []);
        if (rule) edges.get(edge).push(rule);
      });
      touched.set(current, reverse ? "sweeping" : "computing");
    }
    const selected = state.selected >= 0 ? this.folded.nodeOf.get(state.selected) : null;
    for (const [node, {group}] of this.shownNodes) {
      const how = `node ${node.kind} ${touched.get(node) || ""} ${node === selected ? "selected" : ""} `
        + ["waiting", "swept", "bad"].filter(name => group.classList.contains(name)).join(" ");
      if (group.getAttribute("class") !== how) group.setAttribute("class", how);
    }
    for (const [edge, elements] of this.shownEdges) {
      const how = edges.has(edge) ? reverse ? "reverse" : "forward" : "";
      const className = `edge ${elements.kind} ${edge.far ? "stub" : ""} ${how}`;
      if (elements[0].getAttribute("class") === className) continue;
      elements[0].setAttribute("class", className);
      elements[0].setAttribute("marker-end", how === "reverse" ? "" : `url(#arrow-${how || elements.kind})`);
      elements[0].setAttribute("marker-start", how === "reverse" ? "url(#arrow-reverse)" : "");
      if (how) this.edgeLayer.append(elements[0]);
    }
    this.label(reverse ? edges : new Map(), z);
  }

  /* The rules in symbols, each beside the edge that its contribution goes up. */
  label(edges, z) {
    const key = `${z}|${edges.size}|${this.origin}|${[...edges.keys()].filter(edge => this.shownEdges.has(edge)).length}`
      + `|${this.state.unfolded.size}|${this.state.constants}|${this.view.scale}`;
    if (this.labelKey === key) return;
    this.labelKey = key;
    this.labelLayer.replaceChildren();
    const placed = [], larger = Math.max(1, Math.min(1.9, 1 / this.view.scale));      // readable at any zoom
    for (const [edge, rules] of edges) {
      const elements = this.shownEdges.get(edge);
      if (!elements) continue;
      const lines = rules.map(([, formula]) => `+= ${this.tape.formulaText(formula, z)}`);
      const width = Math.max(0, ...lines.map(line => line.length)) * 7.3 + 16, height = 18 * lines.length + 6;
      const [wide, high] = [width * larger, height * larger];
      let [x, y] = elements.middle;
      x -= wide * 0.4;                  // beside the way of the contribution
      y -= edge.far ? 16 : 0;
      for (const [px, py, w, h] of placed) {
        if (Math.abs(px - x) < (w + wide) / 2 + 6 && Math.abs(py - y) < (h + high) / 2 + 4) y = py + (h + high) / 2 + 4;
      }
      placed.push([x, y, wide, high]);
      const group = svg("g", {class: "formula", transform: `translate(${x},${y}) scale(${larger})`}, this.labelLayer);
      svg("rect", {x: -width / 2, y: -height / 2, width, height, rx: 9}, group);
      lines.forEach((line, i) => svg("text", {x: 0, y: 4.5 + 18 * (i - (lines.length - 1) / 2)}, group, line));
    }
  }

  /* The contributions of an entry fly from its delta into those that they are added to. */
  fly(z) {
    const from = this.folded.nodeOf.get(z), [ox, oy] = this.origin, {tape} = this;
    if (!this.shownNodes.has(from)) return;
    for (const [position, , digest] of tape.entries[z].rules || []) {
      const to = this.folded.nodeOf.get(tape.entries[z].operands[position]);
      if (digest === undefined || !this.shownNodes.has(to)) continue;
      this.inFlight.add(to);
      const width = (to.width - 20) / 2, height = to.height - 34;
      const chip = svg("g", {class: "cell delta known chip"}, this.flightLayer);
      svg("rect", {width, height, rx: 4}, chip);
      this.fill({cell: chip, content: svg("g", {}, chip), width, height, key: ""}, digest, () => tape.digests[digest], true);
      const place = node => [node.x - ox + 2, node.y - oy + 27], [x1, y1] = place(from), [x2, y2] = place(to);
      const flight = chip.animate(
        [{transform: `translate(${x1}px,${y1}px) scale(0.7)`, opacity: 0.2},
         {transform: `translate(${(x1 + x2) / 2 + 14}px,${(y1 + y2) / 2}px) scale(1.15)`, opacity: 1, offset: 0.5},
         {transform: `translate(${x2}px,${y2}px) scale(1)`, opacity: 1}],
        {duration: FLIGHT, easing: "cubic-bezier(.45,.05,.3,1)", fill: "both"});
      const moment = this.state.moment;
      flight.onfinish = () => {
        chip.remove();
        if (this.state.moment !== moment) return;
        this.inFlight.delete(to);
        this.refresh(to);
        this.shownNodes.get(to)?.cells.delta.cell.animate(
          [{filter: "brightness(1.6)"}, {filter: "none"}], {duration: 350});
      };
    }
  }

  tell() {
    this.told = true;
    const {groups} = this.tape, loops = new Set(groups.map(group => group.loop)).size, open = this.state.unfolded.size;
    document.getElementById("loops").textContent = loops
      ? `${this.layout.nodes.length} nodes; ${open ? `${open} of ${loops}` : loops} loop${loops > 1 ? "s" : ""} ${open ? "unfolded" : "folded"}`
      : `${this.layout.nodes.length} nodes`;
  }

  // The mouse and the keyboard

  listen() {
    const {drawing} = this;
    drawing.addEventListener("wheel", event => {
      event.preventDefault();
      const box = drawing.getBoundingClientRect();
      this.zoom(Math.exp(-event.deltaY * 0.0015), [event.clientX - box.left, event.clientY - box.top]);
    }, {passive: false});
    drawing.addEventListener("pointerdown", event => {
      this.from = [event.clientX, event.clientY, this.view.x, this.view.y];
      this.dragged = false;
    });
    addEventListener("pointermove", event => {
      if (!this.from) return;
      const [x, y, vx, vy] = this.from, dx = event.clientX - x, dy = event.clientY - y;
      if (Math.hypot(dx, dy) < 4 && !this.dragged) return;
      this.dragged = true;
      Object.assign(this.view, {x: vx - dx / this.view.scale, y: vy - dy / this.view.scale});
      this.show();
    });
    addEventListener("pointerup", () => { this.from = null; });
    drawing.addEventListener("click", () => { if (!this.dragged) this.state.set({selected: -1}); });
    drawing.addEventListener("keydown", event => this.key(event));
    new ResizeObserver(() => { this.measure(); this.show(); }).observe(drawing);
    addEventListener("beforeprint", () => {
      this.kept = {...this.view};
      this.fit(PRINTED);
    });
    addEventListener("afterprint", () => {
      Object.assign(this.view, this.kept);
      this.measure();
      this.show();
    });
  }

  /* Along the edges: up to an operand, down to a use; Enter unfolds a loop or goes to the step. */
  key(event) {
    const {tape, state} = this, y = Math.max(0, state.shown), entry = tape.entries[y];
    const next = event.key === "ArrowUp" ? entry && entry.operands.find(x => this.folded.nodeOf.has(x))
      : event.key === "ArrowDown" ? tape.uses[y][0] : undefined;
    if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      event.preventDefault();
      if (next === undefined) return;
      state.set({selected: next});
      document.getElementById("spoken").textContent = this.described(next);
    } else if (event.key === "Enter") {
      const {group} = tape.registers[y];
      if (group !== undefined && !event.shiftKey) state.toggleLoop(tape.groups[group].loop);
      else if (tape.evaluated[y] >= 0) state.goTo(tape.evaluated[y] + 1);
    }
  }

  /* A register in words. */
  described(y) {
    const {tape, state} = this, register = tape.registers[y], {complete, known} = tape.delta(y, state.moment);
    const value = tape.hasValue(y, state.moment) && register.value !== undefined ? `value ${summary(tape.digests[register.value])}` : "";
    const delta = complete && register.delta !== undefined ? `delta ${summary(tape.digests[register.delta])}` : known ? "part of its delta" : "";
    return [tape.line(y), shapeText(register.shape), value, delta].filter(Boolean).join(", ");
  }
}
