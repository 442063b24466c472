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
    this.shownNodes = new Map();        // node -> its NodeView
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
    this.tell();
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
    const top = Math.min(...near.map(node => node.y)) - margin;
    const bottom = Math.max(...near.map(node => node.y + node.height)) + margin;
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
    for (const [node, shown] of this.shownNodes) {
      if (nodes.has(node)) continue;
      shown.group.remove();
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
    for (const node of nodes) if (!this.shownNodes.has(node)) this.shownNodes.set(node, new NodeView(node, this));
    this.mark();
  }

  // Elements

  addEdge(edge) {
    const [d, middle] = pathOf(edge, this.layout, this.origin);
    const elements = [svg("path", {d}, this.edgeLayer)];
    if (edge.far) {
      const [name] = this.folded.title(edge.from, this.state.moment);
      elements.push(svg("text", {x: middle[0], y: middle[1], class: "stub-name"}, this.edgeLayer, name));
    }
    elements.middle = middle;
    this.shownEdges.set(edge, elements);
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
  }

  flies() {
    return !this.state.hurried && !matchMedia("(prefers-reduced-motion: reduce)").matches;
  }

  /* Bring what is shown to the moment: contents, the current entry, its edges and its formulas. */
  mark() {
    const {state, tape} = this, {z, reverse} = tape.at(state.moment);
    for (const shown of this.shownNodes.values()) shown.refresh();
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
    for (const [node, shown] of this.shownNodes) shown.mark(touched.get(node), node === selected);
    for (const [edge, elements] of this.shownEdges) {
      const how = edges.has(edge) ? reverse ? "reverse" : "forward" : "";
      const kind = edge.back ? "back" : "ahead", className = `edge ${kind} ${edge.far ? "stub" : ""} ${how}`;
      if (elements[0].getAttribute("class") === className) continue;
      elements[0].setAttribute("class", className);
      elements[0].setAttribute("marker-end", how === "reverse" ? "" : `url(#arrow-${how || kind})`);
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
      x -= Math.min(wide * 0.4, 90);    // beside the way of the contribution, and in the window if there is room
      const start = this.view.x - this.origin[0] + wide / 2 + 8, end = start + this.size[0] / this.view.scale - wide - 16;
      x = Math.max(start, Math.min(end, x));
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
      fillCell({group: chip, content: svg("g", {}, chip), width, height, key: ""}, digest, () => tape.digests[digest], true,
               this.state.dark);
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
        const shown = this.shownNodes.get(to);
        shown?.refresh();
        shown?.cells.delta.group.animate([{filter: "brightness(1.6)"}, {filter: "none"}], {duration: 350});
      };
    }
  }

  /* How many nodes there are, and how many loops are folded. */
  tell() {
    const {groups} = this.tape, loops = new Set(groups.map(group => group.loop)).size, open = this.state.unfolded.size;
    const count = `${open ? `${open} of ${loops}` : loops} loop${loops > 1 ? "s" : ""} ${open ? "unfolded" : "folded"}`;
    document.getElementById("loops").textContent = `${this.layout.nodes.length} nodes${loops ? `; ${count}` : ""}`;
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
    const told = what => register[what] === undefined ? "" : `${what} ${summary(tape.digests[register[what]])}`;
    const value = tape.hasValue(y, state.moment) ? told("value") : "";
    const delta = complete ? told("delta") : known ? "part of its delta" : "";
    return [tape.line(y), shapeText(register.shape), value, delta].filter(Boolean).join(", ");
  }
}
