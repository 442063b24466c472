/* The user's source lines: that of the current entry is marked, and in it the expression that recorded the entry. */

class Source {
  constructor(tape, state) {
    this.tape = tape;
    this.state = state;
    this.box = document.getElementById("source");
    this.lines = new Map();             // "file:line" -> {row, text, code}
    this.entriesAt = new Map();
    tape.entries.forEach(({place}, z) => {
      if (!place) return;
      const key = `${place[0]}:${place[1]}`;
      if (!this.entriesAt.has(key)) this.entriesAt.set(key, []);
      this.entriesAt.get(key).push(z);
    });
    if (!tape.files.length) {
      this.box.append(element("p", {class: "quiet"}, "No source lines were recorded: run the forward pass inside ",
                              element("code", {}, "with tg.traced() as t:")));
    }
    tape.files.forEach((file, number) => {
      this.box.append(element("h3", {}, file.name));
      file.spans.forEach(([first, lines], i) => {
        if (i) this.box.append(element("div", {class: "gap", "aria-hidden": "true"}, "⋯"));
        const least = Math.min(...lines.filter(line => line.trim()).map(line => line.length - line.trimStart().length));
        lines.forEach((text, k) => this.add(`${number}:${first + k}`, first + k, text, Number.isFinite(least) ? least : 0));
      });
    });
    this.box.addEventListener("scroll", () => { this.top = this.box.scrollTop; });
    new ResizeObserver(() => { this.measure(); this.key = null; this.mark(); }).observe(this.box);
    state.listeners.push(() => this.mark());
  }

  /* Kept, because to ask for them at every step has the browser lay out the page each time. */
  measure() {
    this.height = this.box.clientHeight;
    for (const line of this.lines.values()) line.top = line.row.offsetTop;
  }

  add(key, number, text, indent) {
    const code = element("code", {}, text.slice(indent) || " ");
    const recorded = this.entriesAt.has(key);
    const row = element("div", {class: `line${recorded ? " recorded" : ""}`},
                        element("span", {class: "index"}, String(number)), code);
    if (recorded) row.addEventListener("click", () => this.next(key));
    this.box.append(row);
    this.lines.set(key, {row, text, code, indent});
  }

  /* To the next step that an entry of a line takes. */
  next(key) {
    const {tape, state} = this, {reverse} = tape.at(state.moment);
    const steps = this.entriesAt.get(key).map(z => reverse ? tape.swept[z] : tape.evaluated[z]).filter(step => step >= 0)
      .sort((a, b) => a - b);
    const step = steps.find(i => i >= state.moment) ?? steps[0];
    if (step !== undefined) state.set({moment: step + 1, selected: -1});
  }

  mark() {
    const {tape, state} = this, {z, reverse} = tape.at(state.moment), y = state.shown;
    const place = tape.entries[y]?.place, key = place ? place.join() + (y === z) + reverse : "";
    if (key === this.key) return;
    this.key = key;
    if (this.marked) {
      this.marked.row.classList.remove("current", "reverse");
      this.marked.code.textContent = this.marked.text.slice(this.marked.indent) || " ";
    }
    this.marked = place && this.lines.get(`${place[0]}:${place[1]}`);
    if (!this.marked) return;
    const {row, text, code, indent} = this.marked, [, , start, end] = place;
    row.classList.add("current");
    row.classList.toggle("reverse", reverse && y === z);
    if (start !== null) {
      code.replaceChildren(text.slice(indent, start), element("mark", {}, text.slice(start, end)), text.slice(end));
    }
    const {top} = this.marked;
    if (this.height && (this.top === undefined || top < this.top + 20 || top > this.top + this.height - 44)) {
      this.top = Math.max(0, top - this.height / 2);
      this.box.scrollTop = this.top;
    }
  }
}
