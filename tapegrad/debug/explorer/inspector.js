/* All about one register: that of the current entry, or the one that is selected. */

const BARS = 12, MOST_BARS = 130;       // contributions that are listed; bars in a picture of many

class Inspector {
  constructor(tape, state) {
    this.tape = tape;
    this.state = state;
    this.box = document.getElementById("inspector");
    this.title = document.getElementById("inspector-title");
    state.listeners.push(() => this.update());
  }

  update() {
    const {tape, state} = this, y = state.shown, time = performance.now();
    if (state.hurried && time - this.time < 250) return;
    this.time = time;
    const {arrived, complete, known} = y < 0 ? {} : tape.delta(y, state.moment);
    const key = [y, y >= 0 && tape.hasValue(y, state.moment), arrived, complete, known, state.dark, state.selected >= 0,
                 [...state.unfolded].join(".")].join();
    if (key === this.key) return;
    this.key = key;
    this.box.replaceChildren();
    if (y < 0) {
      this.title.textContent = "Value";
      this.box.append(element("p", {class: "quiet"}, "Press → to evaluate the first entry, or click on a value."));
      return;
    }
    const register = tape.registers[y];
    const kinds = {leaf: "leaf", constant: "constant", before: "recorded before", entry: "result"};
    this.title.replaceChildren(register.name, " ", element("span", {class: "legend"},
      `${kinds[register.kind]}, ${shapeText(register.shape)} ${register.dtype}${state.selected >= 0 ? ", selected" : ""}`));
    for (const part of [this.blame(y), this.value(y), this.delta(y), this.provenance(y), this.rules(y), this.check(y),
                        this.cost(y), this.graph(y)]) {
      if (part) this.box.append(part);
    }
  }

  section(title, ...children) {
    return element("section", {}, element("h3", {}, title), ...children);
  }

  /* A link to another register. */
  link(y, text = this.tape.name(y)) {
    if (typeof y !== "number") return element("span", {}, text);
    const button = element("button", {class: "link", title: this.tape.line(y)}, text);
    button.addEventListener("click", () => this.state.set({selected: y}));
    return button;
  }

  formula(number, z) {
    const code = element("code", {class: "formula"});
    for (const {text, register, delta} of this.tape.formula(number, z)) {
      code.append(text ?? this.link(register, (delta ? "δ" : "") + this.tape.name(register)));
    }
    return code;
  }

  blame(y) {
    const {tape} = this, entry = tape.entries[y], found = [];
    const origin = tape.origin(y);
    if (origin >= 0 && this.tape.hasValue(y, this.state.moment)) {
      const why = tape.entries[origin]?.why;
      const since = origin === y ? ["This is the first value here that is not finite"]
        : ["Not finite since ", this.link(origin)];
      found.push(element("p", {class: "blame"}, ...since, why ? `: ${why}` : "."));
    }
    if (entry?.whyDelta) {
      const [position, why] = entry.whyDelta;
      const to = tape.name(entry.operands[position]);
      found.push(element("p", {class: "blame"}, `Its contribution to the delta of ${to} is not finite: ${why}`));
    }
    return found.length ? this.section("Not finite", ...found) : null;
  }

  value(y) {
    const {tape, state} = this, register = tape.registers[y];
    if (!tape.hasValue(y, state.moment)) return this.section("Value", element("p", {class: "quiet"}, "not evaluated yet"));
    if (register.value === undefined) return this.section("Value", this.unknown("value", "values=True"));
    return this.section("Value", this.array(tape.digests[register.value]));
  }

  unknown(what, how) {
    return element("p", {class: "quiet"}, `The ${what} was not kept; it needs `, element("code", {}, `tg.traced(${how})`), ".");
  }

  delta(y) {
    const {tape, state} = this, register = tape.registers[y], {parts, arrived, complete, known} = tape.delta(y, state.moment);
    if (register.kind === "constant" || register.kind === "before") return null;
    if (!known) {
      const never = register.delta === undefined && tape.swept[y] < 0 && !parts.length;
      const text = tape.turn === tape.steps.length ? "no sweep was traced"
        : never ? "the sweep does not reach it" : "the sweep has not come here yet";
      return this.section("Delta", element("p", {class: "quiet"}, text));
    }
    if (complete && register.delta === undefined) return this.section("Delta", this.unknown("delta", "deltas=True"));
    const digest = complete ? tape.digests[register.delta] : tape.partial(y, arrived);
    const title = complete ? parts.length ? `Delta: the sum of ${parts.length} contribution${parts.length > 1 ? "s" : ""}`
      : tape.added ? "Delta: the seed" : "Delta"
      : `Delta so far: ${arrived} of ${parts.length} contributions`;
    return this.section(title, this.array(digest));
  }

  /* An array: numbers in a table, coloured; or a heat map, a histogram and statistics. */
  array(digest) {
    const box = element("div", {class: "array"}), {dark} = this.state;
    if (digest.full && digest.full.length && digest.shape.length <= 2) box.append(this.numbers(digest, dark));
    else if (digest.full) {
      box.append(element("code", {}, digest.full.length ? summary(digest) : "empty"));
    }
    const grid = gridOf(digest);
    if (grid && (!digest.full || digest.shape.length > 2)) {
      const canvas = element("canvas", {class: "heat", role: "img", "aria-label": `heat map: ${summary(digest)}`});
      paint(canvas, grid, dark);
      canvas.style.aspectRatio = `${Math.max(canvas.width, 8)} / ${Math.max(2, Math.min(canvas.height, canvas.width))}`;
      box.append(canvas);
    }
    if (digest.counts) box.append(this.histogram(digest));
    const facts = [["min", digest.min], ["max", digest.max], ["mean", digest.mean], ["norm", digest.norm]]
      .filter(([, x]) => x !== undefined).map(([name, x]) => `${name} ${format(x)}`);
    if (digest.nans) facts.push(`${digest.nans} NaN`);
    if (digest.infs) facts.push(`${digest.infs} infinite`);
    if (digest.full && digest.full.length > 1) facts.push(`norm ${format(normOf(digest))}`);
    if (facts.length) box.append(element("p", {class: "facts"}, ...facts.map(fact => element("span", {}, fact))));
    return box;
  }

  numbers({full, shape}, dark) {
    const scale = largest(full.map(magnitude)) || 1, columns = shape.length ? shape[shape.length - 1] : 1;
    const number = (name, x) => {
      const rgb = colour(magnitude(x) / scale, dark);
      return element(name, {style: `background:${css(rgb)};color:${readable(rgb)}`,
                            title: Array.isArray(x) ? `${x[0]} + ${x[1]}i` : String(x)}, format(x));
    };
    if (shape.length < 2) return element("div", {class: "numbers vector scroll"}, ...full.map(x => number("span", x)));
    const table = element("table", {class: "numbers"});
    for (let i = 0; i < full.length; i += columns) {
      table.append(element("tr", {}, ...full.slice(i, i + columns).map(x => number("td", x))));
    }
    return element("div", {class: "scroll"}, table);
  }

  histogram({counts, low, high}) {
    const most = Math.max(...counts), width = 240, height = 44;
    const picture = svg("svg", {class: "histogram", viewBox: `0 0 ${width} ${height + 12}`, role: "img",
                                "aria-label": `histogram from ${format(low)} to ${format(high)}`});
    counts.forEach((count, i) => svg("rect", {x: i * width / counts.length + 0.5, width: width / counts.length - 1,
                                              y: height - height * count / most, height: height * count / most}, picture));
    svg("text", {x: 0, y: height + 10}, picture, format(low, 3));
    svg("text", {x: width, y: height + 10, class: "end"}, picture, format(high, 3));
    return picture;
  }

  /* Where the delta comes from: each contribution, its norm as a bar; of many, the norms over the uses. */
  provenance(y) {
    const {tape, state} = this, {parts, arrived} = tape.delta(y, state.moment);
    if (!parts.length) return null;
    const norms = parts.map(part => normOf(tape.digests[part.digest])), most = largest(norms.map(norm => norm ?? 0)) || 1;
    const list = element("table", {class: "parts"});
    const order = [...parts.keys()];
    if (parts.length > BARS) order.sort((a, b) => (norms[b] ?? 0) - (norms[a] ?? 0)).splice(BARS);
    for (const i of order) {
      const {from, formula, step} = parts[i], width = Math.round(60 * (norms[i] ?? 0) / most) || 1;
      const row = element("tr", {class: i < arrived ? "arrived" : "coming"}, element("td", {}, this.link(from)),
                          element("td", {}, "+= ", this.formula(formula, from)),
                          element("td", {class: "number"}, norms[i] === null ? "" : format(norms[i], 3)),
                          element("td", {}, element("i", {class: "bar", style: `width:${width}px`})));
      row.title = i < arrived ? `added in step ${step + 1}` : `comes in step ${step + 1}`;
      list.append(row);
    }
    const children = [element("div", {class: "scroll"}, list)];
    if (parts.length > BARS) children.unshift(this.through(parts, norms, most, arrived),
                                              element("p", {class: "quiet"}, `the ${BARS} largest of ${parts.length}:`));
    return this.section("Provenance: contributions to the delta, with norms", ...children);
  }

  through(parts, norms, most, arrived) {
    const width = 260, height = 56, n = parts.length, bars = Math.min(n, MOST_BARS), step = width / bars;
    const picture = svg("svg", {class: "histogram", viewBox: `0 0 ${width} ${height + 12}`, role: "img",
                                "aria-label": `norms of ${n} contributions, from the first use to the last`});
    for (let bar = 0; bar < bars; bar++) {              // of the uses that share a bar, the largest norm
      const [start, end] = [bar, bar + 1].map(at => n - Math.floor(at * n / bars));
      const size = height * largest(norms.slice(end, start).map(norm => norm ?? 0)) / most;
      svg("rect", {x: bar * step, width: step * 0.85, y: height - size, height: size,
                   class: end < arrived ? "arrived" : "coming"}, picture);
    }
    svg("text", {x: 0, y: height + 10}, picture, "first use");
    svg("text", {x: width, y: height + 10, class: "end"}, picture, "last use");
    return picture;
  }

  rules(y) {
    const {tape} = this, entry = tape.entries[y];
    if (!entry) return null;
    const rows = (entry.rules || []).map(([position, formula]) => {
      const operand = entry.operands[position];
      return element("tr", {}, element("td", {}, this.link(operand, `δ${tape.name(operand)}`)),
                     element("td", {}, "+= ", this.formula(formula, y)));
    });
    const doc = tape.operations[entry.operation].doc;
    return this.section("Operation and its derivatives (G and DG)", element("p", {}, element("code", {}, tape.line(y))),
                        doc ? element("p", {class: "quiet"}, doc) : "", element("table", {class: "parts"}, ...rows));
  }

  check(y) {
    const {tape} = this, entry = tape.entries[y];
    if (!entry?.checked) return null;
    const rows = entry.checked.map(([position, derivative, difference, error, small]) => element("tr", {},
      element("td", {}, this.link(entry.operands[position])), element("td", {class: "number"}, format(derivative, 6)),
      element("td", {class: "number"}, format(difference, 6)), element("td", {class: "number"}, format(error, 2)),
      element("td", {class: small ? "right" : "blame"}, small ? "✓ agrees" : "✗ differs")));
    return this.section("Finite differences, along a random direction", element("table", {class: "parts"},
      element("tr", {}, ...["of", "derivative", "difference", "error", ""].map(text => element("th", {}, text))), ...rows));
  }

  cost(y) {
    const entry = this.tape.entries[y];
    if (!entry) return null;
    const facts = [];
    if (entry.forward !== undefined) facts.push(`forward ${format(entry.forward)} µs`);
    if (entry.backward !== undefined) facts.push(`backward ${format(entry.backward)} µs`);
    if (entry.kept) facts.push(`keeps ${entry.kept.toLocaleString("en")} bytes of results`);
    if (entry.given) facts.push(`${entry.given.toLocaleString("en")} bytes of leaves and constants`);
    if (!entry.kept && !entry.given) facts.push("keeps nothing that is not kept already");
    if (entry.forward === undefined) facts.push("its time needs tg.traced()");
    return this.section("Time and memory", element("p", {}, facts.join("; ")));
  }

  graph(y) {
    const {tape} = this, uses = tape.uses[y], list = element("p", {class: "uses"});
    uses.slice(0, 20).forEach((z, i) => list.append(i ? ", " : "", this.link(z)));
    if (uses.length > 20) list.append(` and ${uses.length - 20} more`);
    const buttons = element("p", {class: "jumps"});
    for (const [step, text] of [[tape.evaluated[y], "To its evaluation"], [tape.swept[y], "To its step in the sweep"]]) {
      if (step < 0) continue;
      const button = element("button", {}, text);
      button.addEventListener("click", () => this.state.set({moment: step + 1, selected: -1}));
      buttons.append(button);
    }
    const {group} = tape.registers[y];
    if (group !== undefined) {
      const {loop} = tape.groups[group];
      const button = element("button", {}, this.state.unfolded.has(loop) ? "Fold its loop" : "Unfold its loop");
      button.addEventListener("click", () => this.state.toggleLoop(loop));
      buttons.append(button);
    }
    if (!uses.length) return buttons.childNodes.length ? this.section("Steps", buttons) : null;
    return this.section(uses.length > 1 ? `Used by ${uses.length} entries` : "Used by", list, buttons);
  }
}
