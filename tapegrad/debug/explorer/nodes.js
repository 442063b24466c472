/* A node of the drawing: its name, and a cell each for the value and the delta. */

class NodeView {
  constructor(node, graph) {
    const {width, height, kind} = node, [ox, oy] = graph.origin;
    Object.assign(this, {node, graph, key: "", cells: {}});
    this.group = svg("g", {class: `node ${kind}`, transform: `translate(${node.x - width / 2 - ox},${node.y - oy})`,
                           role: "button", tabindex: -1}, graph.nodeLayer);
    this.title = svg("title", {}, this.group);
    svg("rect", {class: "halo", x: -4, y: -4, width: width + 8, height: height + 8, rx: 13}, this.group);
    svg("rect", {class: "body", width, height, rx: kind === "leaf" ? 18 : 9}, this.group);
    this.name = svg("text", {class: "name", x: 10, y: 19}, this.group);
    this.badge = svg("text", {class: "badge", x: width - 9, y: 19}, this.group);
    const names = kind === "constant" ? ["value"] : ["value", "delta"];
    const wide = (width - 12 - 4 * names.length) / names.length, high = height - 34;
    names.forEach((what, i) => {
      const group = svg("g", {class: `cell ${what}`, transform: `translate(${8 + i * (wide + 4)},27)`}, this.group);
      svg("rect", {width: wide, height: high, rx: 4}, group);
      this.cells[what] = {group, content: svg("g", {}, group), width: wide, height: high, key: ""};
    });
    this.listen();
    this.refresh();
  }

  listen() {
    const {node, graph} = this, {state, tape} = graph;
    const unfold = () => state.toggleLoop(tape.groups[node.group].loop);
    this.group.addEventListener("click", event => {
      event.stopPropagation();
      if (graph.dragged) return;
      if (event.target === this.badge && node.group >= 0) unfold();
      else state.set({selected: graph.folded.member(node, state.moment)});
    });
    this.group.addEventListener("dblclick", () => {
      const step = tape.evaluated[node.members[0]];
      if (node.group >= 0) unfold();
      else if (step >= 0) state.goTo(step + 1);
    });
  }

  /* Show the node as it is at the moment; the document is touched only where this has changed. */
  refresh() {
    const {node, graph} = this, {tape, state} = graph, y = graph.folded.member(node, state.moment);
    const register = tape.registers[y], {dark} = state;
    this.call(y);
    const hasValue = tape.hasValue(y, state.moment), {arrived, complete, known} = tape.delta(y, state.moment);
    fillCell(this.cells.value, hasValue ? register.value : undefined, () => tape.digests[register.value], hasValue, dark);
    if (this.cells.delta && !graph.inFlight.has(node)) {
      const number = complete ? register.delta : known ? `${y}+${arrived}` : undefined;
      const digestOf = () => complete ? tape.digests[register.delta] : tape.partial(y, arrived);
      fillCell(this.cells.delta, number, digestOf, known, dark);
      this.cells.delta.group.classList.toggle("partial", known && !complete);
    }
    const swept = tape.swept[y] >= 0 && tape.swept[y] < state.moment;
    const bad = what => register[what] !== undefined && !isFiniteDigest(tape.digests[register[what]]);
    this.waiting = node.kind === "entry" && !hasValue;
    this.bad = hasValue && bad("value") || swept && bad("delta");
    if (!state.playing) {
      const words = graph.described(y);
      if (this.words !== words) this.group.setAttribute("aria-label", this.words = words);
    }
  }

  /* Its name and operation, shortened to fit, and of which repetition the values are. */
  call(y) {
    const {node, graph} = this, {tape} = graph, [name, operation] = graph.folded.title(node, graph.state.moment);
    const many = node.members.length, badge = many > 1 ? `${tape.repetition[y] + 1}/${many}` : "";
    const key = `${name}|${operation}|${badge}`;
    if (this.key === key) return;
    this.key = key;
    const room = Math.floor((node.width - 20) / 7.3) - badge.length - (badge ? 1 : 0);
    const left = shortened(name, Math.max(3, operation ? room - operation.length - 3 : room));
    this.name.replaceChildren(svg("tspan", {}, null, left));
    if (operation) {
      this.name.append(svg("tspan", {class: "sign"}, null, " = "),
                       svg("tspan", {class: "operation"}, null, shortened(operation, room - left.length - 3)));
    }
    this.badge.textContent = badge;
    this.title.textContent = tape.line(y) + (many > 1 ? `\n${many} repetitions; double-click to unfold the loop` : "");
  }

  /* How the current step concerns it: "computing", "read", "sweeping", "receives" or nothing. */
  mark(how, selected) {
    const {node, group} = this;
    const said = [how, selected && "selected", this.waiting && "waiting", this.bad && "bad"].filter(Boolean);
    const names = ["node", node.kind, ...said].join(" ");
    if (group.getAttribute("class") !== names) group.setAttribute("class", names);
  }
}

function shortened(text, room) { return text.length <= room ? text : `${text.slice(0, Math.max(1, room - 1))}…`; }

/* Fill a cell with numbers, a small matrix, or a picture. `number` says which, so that nothing is drawn again in vain. */
function fillCell(cell, number, digestOf, known, dark) {
  const key = `${number}|${known}|${dark}`, {group, content, width, height} = cell;
  if (cell.key === key) return;
  cell.key = key;
  content.replaceChildren();
  group.classList.toggle("known", known);
  if (!known) return;
  if (number === undefined) {
    svg("text", {x: width / 2, y: height / 2 + 4, class: "quiet"}, content, "?");
    return;
  }
  const digest = digestOf(), few = fewNumbers(digest);
  if (few) writeNumbers(cell, few);
  else if (!writeMatrix(cell, digest, dark)) {
    const href = pictureOf(digest, dark);
    if (href) svg("image", {x: 3, y: 3, width: width - 6, height: height - 6, href, preserveAspectRatio: "none"}, content);
  }
}

function writeNumbers({content, width, height}, numbers) {
  const lines = numbers.length < 3 ? numbers : [numbers.slice(0, 2).join(" "), numbers.slice(2).join(" ")];
  const longest = Math.max(...lines.map(line => line.length));
  const size = Math.min(lines.length > 1 ? 11 : 12.5, (width - 4) / (0.62 * longest));
  lines.forEach((line, i) => svg("text", {x: width / 2, y: height / 2 + 4 + (i - (lines.length - 1) / 2) * 13,
                                          style: `font-size:${size.toFixed(1)}px`}, content, line));
}

/* The numbers of a small matrix, on their colours; whether it is small enough. */
function writeMatrix({content, width, height}, {full, shape}, dark) {
  if (!full) return false;
  const columns = shape[shape.length - 1], rows = full.length / columns, most = width > 90 ? 4 : 3;
  if (rows > most || columns > most || full.some(Array.isArray)) return false;
  const scale = largest(full.map(magnitude)) || 1, w = (width - 4) / columns, h = (height - 4) / rows;
  const texts = full.map(x => format(x, 2)), longest = Math.max(...texts.map(text => text.length));
  const size = Math.min(h - 2, 10.5, (w - 2) / (0.61 * longest));
  full.forEach((x, i) => {
    const left = 2 + w * (i % columns), top = 2 + h * Math.floor(i / columns), rgb = colour(magnitude(x) / scale, dark);
    svg("rect", {x: left, y: top, width: w - 0.7, height: h - 0.7, class: "number", style: `fill:${css(rgb)}`}, content);
    svg("text", {x: left + w / 2, y: top + h / 2 + size * 0.35,
                 style: `font-size:${size.toFixed(1)}px;fill:${readable(rgb)}`}, content, texts[i]);
  });
  return true;
}
