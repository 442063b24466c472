/* The state of the page: a moment and a view of it. All that is on the screen follows from it, and its address is a link to it.

   set({..}) changes it; at the next frame, every listener is called with the names of what has changed. */

class State {
  constructor(tape) {
    this.tape = tape;
    this.moment = 0;
    this.selected = -1;                 // a register; -1: that of the current entry
    this.unfolded = new Set();          // loops
    this.constants = tape.fewConstants;
    this.follow = true;
    this.theme = "";                    // "dark", "light", or as the system has it
    this.playing = false;
    this.speed = 1;                     // steps a second
    this.held = false;                  // a key, so that it repeats
    this.listeners = [];
    this.changed = new Set();
    this.read();
    this.linked = location.protocol !== "about:";       // a page within a notebook has no address of its own
    if (this.linked) addEventListener("hashchange", () => this.read());
  }

  set(patch) {
    for (const [name, value] of Object.entries(patch)) {
      if (this[name] === value) continue;
      this[name] = value;
      this.touch(name);
    }
  }

  /* What `name` says has changed, if by nothing that is kept here. */
  touch(name) {
    this.changed.add(name);
    if (!this.frame) this.frame = requestAnimationFrame(() => this.tell());
  }

  goTo(moment) { this.set({moment: Math.max(0, Math.min(this.tape.steps.length, moment))}); }

  tell() {
    const changed = this.changed;
    this.frame = 0;
    this.changed = new Set();
    for (const listener of this.listeners) listener(changed);
    clearTimeout(this.writing);
    if (this.linked && !this.playing) this.writing = setTimeout(() => this.write(), 150);
  }

  /* The register that is looked at: the selected one, or that of the current entry. */
  get shown() { return this.selected >= 0 ? this.selected : this.tape.at(this.moment).z; }

  /* Whether steps follow each other faster than one can read what is beside the graph. */
  get hurried() { return this.held || this.playing && this.speed > 2; }

  get dark() { return this.theme ? this.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches; }

  toggleLoop(loop) {
    const unfolded = new Set(this.unfolded);
    if (!unfolded.delete(loop)) unfolded.add(loop);
    this.set({unfolded});
  }

  write() {
    const hash = new URLSearchParams({step: this.moment});
    if (this.selected >= 0) hash.set("register", this.selected);
    if (this.unfolded.size) hash.set("unfolded", [...this.unfolded].join("."));
    if (this.constants !== this.tape.fewConstants) hash.set("constants", Number(this.constants));
    if (this.theme) hash.set("theme", this.theme);
    this.written = `#${hash}`;
    if (location.hash !== this.written) history.replaceState(null, "", this.written);
  }

  read() {
    if (location.hash === this.written || location.hash.length < 2 || !location.hash.includes("=")) return;
    const hash = new URLSearchParams(location.hash.slice(1));
    const number = (name, most, otherwise) => {
      const value = parseInt(hash.get(name), 10);
      return value >= 0 && value <= most ? value : otherwise;
    };
    this.set({
      moment: number("step", this.tape.steps.length, 0),
      selected: number("register", this.tape.registers.length - 1, -1),
      unfolded: new Set((hash.get("unfolded") || "").split(".").filter(loop => /^[0-9]+$/.test(loop)).map(Number)),
      constants: hash.has("constants") ? hash.get("constants") === "1" : this.tape.fewConstants,
      theme: ["dark", "light"].includes(hash.get("theme")) ? hash.get("theme") : "",
    });
  }
}
