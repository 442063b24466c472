/* The Wengert list. Only the rows in the window are in the document, so that it may be as long as it likes. */

const ROW = 27;

class Listing {
  constructor(tape, state) {
    this.tape = tape;
    this.state = state;
    this.box = document.getElementById("listing");
    this.leaves = tape.registers.map((register, y) => register.kind === "leaf" ? y : -1).filter(y => y >= 0);
    this.rows = [...this.leaves, ...tape.entries.keys()];
    this.place = new Map(this.rows.map((y, i) => [y, i]));
    this.inner = element("div", {role: "presentation", style: `height:${this.rows.length * ROW}px`});
    this.box.append(this.inner);
    this.shown = new Map();             // row -> its elements
    this.measure();
    this.box.addEventListener("scroll", () => { this.measure(); this.show(); });
    this.box.addEventListener("keydown", event => this.key(event));
    new ResizeObserver(() => { this.measure(); this.show(); }).observe(this.box);
    addEventListener("beforeprint", () => this.show(2000));
    addEventListener("afterprint", () => this.show());
    state.listeners.push(changed => this.update(changed));
  }

  /* Kept, because to ask for them at every step has the browser lay out the page each time. */
  measure() {
    this.top = this.box.scrollTop;
    this.height = this.box.clientHeight;
  }

  show(all = 0) {
    const {top, height} = this;
    const first = all ? 0 : Math.max(0, Math.floor(top / ROW) - 4);
    const last = all ? Math.min(all, this.rows.length) : Math.min(this.rows.length, Math.ceil((top + height) / ROW) + 4);
    for (const [i, {row}] of this.shown) {
      if (i >= first && i < last) continue;
      row.remove();
      this.shown.delete(i);
    }
    for (let i = first; i < last; i++) if (!this.shown.has(i)) this.add(i);
    this.mark();
  }

  add(i) {
    const y = this.rows[i], register = this.tape.registers[y], entry = register.kind === "entry";
    const row = element("div", {class: `row ${register.kind}`, role: "option", id: `row${i}`, style: `top:${i * ROW}px`,
                                "aria-setsize": this.rows.length, "aria-posinset": i + 1});
    row.append(element("span", {class: "index"}, entry ? String(y) : ""), this.text(y));
    const value = element("span", {class: "summary value"}), delta = element("span", {class: "summary delta"});
    row.append(value, delta);
    const facts = [this.tape.line(y), `${shapeText(register.shape)} ${register.dtype}`, this.tape.entries[y]?.line];
    row.title = facts.filter(Boolean).join("   ");
    row.addEventListener("click", () => this.state.set({selected: y}));
    row.addEventListener("dblclick", () => this.go(y));
    this.inner.append(row);
    this.shown.set(i, {row, value, delta, y, key: ""});
  }

  text(y) {
    const text = element("code", {}), register = this.tape.registers[y];
    text.append(element("b", {}, register.name));
    if (register.kind !== "entry") {
      text.append(element("i", {}, `  ${shapeText(register.shape)}`));
      return text;
    }
    const entry = this.tape.entries[y];
    text.append(" = ", element("em", {}, this.tape.operation(y)), "(");
    entry.operands.forEach((operand, k) => text.append(k ? ", " : "", this.tape.name(operand)));
    if (entry.static) text.append(element("i", {}, `${entry.operands.length ? ", " : ""}${entry.static}`));
    text.append(")");
    return text;
  }

  go(y) {
    const step = this.tape.evaluated[y];
    if (step >= 0) this.state.goTo(step + 1);
  }

  update(changed) {
    const {state, tape} = this, {z} = tape.at(state.moment);
    const wanted = changed.has("selected") && state.selected >= 0 ? state.selected
      : changed.has("moment") && state.follow ? z : -1;
    if (this.place.has(wanted)) this.reveal(this.place.get(wanted));
    this.mark();
  }

  reveal(i) {
    const at = i * ROW, {top, height} = this;
    if (at < top + 2 * ROW || at > top + height - 3 * ROW) {
      this.top = Math.max(0, Math.min(this.rows.length * ROW - height, at - height / 2));
      this.box.scrollTop = this.top;
      this.show();
    }
  }

  mark() {
    const {state, tape} = this, {z, reverse} = tape.at(state.moment);
    const {rules = [], operands = []} = reverse ? tape.entries[z] : {};
    const receiving = new Set(rules.map(([position]) => operands[position]));
    for (const [i, shown] of this.shown) {
      const {row, y} = shown, register = tape.registers[y], {arrived, known, complete} = tape.delta(y, state.moment);
      const hasValue = tape.hasValue(y, state.moment);
      const key = [hasValue, arrived, known, complete, y === z && reverse, y === z, y === state.selected, receiving.has(y),
                   state.selected < 0].join();
      if (shown.key === key) continue;
      shown.key = key;
      row.classList.toggle("waiting", !hasValue);
      row.classList.toggle("computing", y === z && !reverse);
      row.classList.toggle("sweeping", y === z && reverse);
      row.classList.toggle("receives", receiving.has(y));
      row.classList.toggle("selected", y === state.selected);
      row.setAttribute("aria-selected", y === (state.selected >= 0 ? state.selected : z));
      shown.value.textContent = hasValue && register.value !== undefined ? brief(tape.digests[register.value]) : "";
      shown.delta.textContent = complete && register.delta !== undefined ? brief(tape.digests[register.delta])
        : known ? `${arrived} of ${tape.parts[y].length}` : "";
      for (const what of ["value", "delta"]) {
        const bad = shown[what].textContent && register[what] !== undefined && !isFiniteDigest(tape.digests[register[what]]);
        shown[what].classList.toggle("bad", Boolean(bad));
      }
      if (row.getAttribute("aria-selected") === "true") this.box.setAttribute("aria-activedescendant", `row${i}`);
    }
  }

  key(event) {
    const move = {ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15}[event.key];
    const i = this.place.get(this.state.shown) ?? 0;
    if (move) {
      event.preventDefault();
      event.stopPropagation();
      this.state.set({selected: this.rows[Math.max(0, Math.min(this.rows.length - 1, i + move))]});
    } else if (event.key === "Enter") this.go(this.rows[i]);
  }
}

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
