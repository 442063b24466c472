/* The player, the search, the buttons and the keys. */

class Controls {
  constructor(tape, state, graph) {
    this.tape = tape;
    this.state = state;
    this.graph = graph;
    this.now = document.getElementById("now");
    this.slider = document.getElementById("slider");
    this.slider.max = tape.steps.length;
    this.phases();
    this.buttons();
    this.searching();
    addEventListener("keydown", event => this.key(event));
    for (const end of ["keyup", "blur"]) addEventListener(end, () => state.set({held: false}));
    this.showHints();
    state.listeners.push(changed => this.update(changed));
  }

  /* The colours of the track: forward and reverse by turns, once in most tapes. */
  phases() {
    const {tape} = this, n = tape.steps.length || 1, ends = [0, ...tape.turns, n];
    const stops = ends.slice(1).map((end, i) => {
      const reverse = tape.at(ends[i] + 1).reverse;
      return `var(${reverse ? "--delta" : "--value"}) ${100 * ends[i] / n}% ${100 * end / n}%`;
    });
    this.slider.style.setProperty("--phases", `linear-gradient(to right, ${stops.join(", ")})`);
    const spans = document.querySelectorAll("#phases span");
    if (tape.turns.length === 1) spans[0].style.width = `${100 * tape.turn / n}%`;
    else spans[1].textContent = tape.turns.length ? "forward and reverse by turns" : "";
    if (tape.turns.length > 1) spans[0].textContent = "";
  }

  showHints() {
    if (!this.tape.hints.length) return;
    const box = document.getElementById("hints"), close = element("button", {"aria-label": "Close this note"}, "×");
    const list = element("ul", {}, ...this.tape.hints.map(hint => {
      const parts = hint.split("`").map((part, i) => i % 2 ? element("code", {}, part) : part);
      return element("li", {}, ...parts);
    }));
    close.addEventListener("click", () => { box.hidden = true; });
    box.append(list, close);
    box.hidden = false;
  }

  buttons() {
    const {state, tape, graph} = this;
    const click = (id, action) => document.getElementById(id).addEventListener("click", action);
    click("first", () => state.goTo(0));
    click("back", () => state.goTo(state.moment - 1));
    click("forth", () => state.goTo(state.moment + 1));
    click("last", () => state.goTo(tape.steps.length));
    click("play", () => this.play(!state.playing));
    click("fold", () => this.fold());
    click("constants", () => state.set({constants: !state.constants}));
    click("follow", () => state.set({follow: !state.follow}));
    click("theme", () => state.set({theme: state.dark ? "light" : "dark"}));
    click("help", () => document.getElementById("keys").showModal());
    click("zoom-in", () => graph.zoom(1.3));
    click("zoom-out", () => graph.zoom(1 / 1.3));
    click("zoom-fit", () => graph.fit());
    this.slider.addEventListener("input", () => state.goTo(Number(this.slider.value)));
    document.getElementById("speed").addEventListener("change", event => state.set({speed: Number(event.target.value)}));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      state.set({theme: ""});
      state.touch("theme");
    });
    document.getElementById("fold").disabled = !tape.groups.length;
  }

  fold() {
    const loops = this.tape.groups.map(group => group.loop);
    this.state.set({unfolded: this.state.unfolded.size ? new Set() : new Set(loops)});
  }

  /* One step after the other, as many a second as was chosen. */
  play(on) {
    const {state, tape} = this;
    if (on && state.moment === tape.steps.length) state.goTo(0);
    state.set({playing: on});
    if (!on) return;
    let before = performance.now();
    const next = time => {
      if (!state.playing) return;
      const due = Math.floor((time - before) * state.speed / 1000);
      if (due > 0) {
        before += due * 1000 / state.speed;
        state.goTo(state.moment + Math.min(due, 4));
        if (state.moment === tape.steps.length) { state.set({playing: false}); return; }
      }
      requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
  }

  update(changed) {
    const {state, tape} = this, {moment} = state;
    document.documentElement.dataset.theme = state.dark ? "dark" : "light";
    for (const [id, pressed] of [["fold", !state.unfolded.size], ["constants", state.constants], ["follow", state.follow]]) {
      document.getElementById(id).setAttribute("aria-pressed", pressed);
    }
    this.slider.value = moment;
    this.slider.style.setProperty("--at", `${tape.steps.length ? 100 * moment / tape.steps.length : 0}%`);
    const reverse = tape.at(moment).reverse;
    const phase = moment ? reverse ? ", reverse sweep" : ", forward" : "";
    this.slider.setAttribute("aria-valuetext", `step ${moment} of ${tape.steps.length}${phase}`);
    document.getElementById("count").textContent = `${moment} / ${tape.steps.length}`;
    const play = document.getElementById("play");
    play.textContent = state.playing ? "Pause" : "Play";
    document.body.classList.toggle("reversing", reverse);
    if (changed.has("moment") || !this.now.childNodes.length) this.tell();
    if (!state.playing && !state.held) document.getElementById("spoken").textContent = tape.spoken(moment);
  }

  /* The current step, large. */
  tell() {
    const {tape, state} = this, {z, reverse} = tape.at(state.moment);
    const phase = element("span", {class: `phase ${z < 0 ? "" : reverse ? "reverse" : "forward"}`},
                          z < 0 ? "start" : reverse ? "reverse sweep" : "forward");
    this.now.replaceChildren(phase);
    if (z < 0) {
      const {length} = tape.entries;
      this.now.append(element("span", {class: "quiet"}, length ? `${length} entr${length > 1 ? "ies" : "y"}, `
        + `${tape.turn < tape.steps.length ? "forward and then back" : "forward"}: press → or space` : "The tape is empty."));
      return;
    }
    const line = element("code", {class: "operation"}, element("b", {}, tape.name(z)), ` = ${tape.right(z)}`);
    if (!reverse) {
      const {value} = tape.registers[z];
      this.now.append(line, element("span", {class: "quiet"}, value === undefined ? "" : ` = ${summary(tape.digests[value])}`));
      return;
    }
    this.now.append(line);
    for (const [position, formula] of tape.entries[z].rules || []) {
      this.now.append(element("code", {class: "rule"}, element("b", {}, `δ${tape.name(tape.entries[z].operands[position])}`),
                              ` += ${tape.formulaText(formula, z)}`));
    }
  }

  // The search

  searching() {
    const input = document.getElementById("query"), list = document.getElementById("found"), {tape, state} = this;
    const texts = tape.registers.map((register, y) => `${tape.line(y)} ${tape.entries[y]?.line || ""}`.toLowerCase());
    let found = [], at = -1;
    const choose = i => {
      at = i;
      [...list.children].forEach((item, k) => item.setAttribute("aria-selected", k === i));
      input.setAttribute("aria-activedescendant", `found${i}`);
      list.children[i].scrollIntoView({block: "nearest"});
      state.set({selected: found[i]});
    };
    const close = () => {
      list.hidden = true;
      input.setAttribute("aria-expanded", "false");
      input.removeAttribute("aria-activedescendant");
    };
    const search = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      found = [];
      for (let y = 0; words.length && y < texts.length && found.length < 100; y++) {
        if (words.every(word => texts[y].includes(word))) found.push(y);
      }
      const exact = y => tape.name(y).toLowerCase() === words[0] ? 0 : 1;
      found.sort((a, b) => exact(a) - exact(b) || a - b);
      list.replaceChildren(...found.map((y, i) => {
        const item = element("li", {role: "option", id: `found${i}`, "aria-selected": "false"},
                             element("code", {}, tape.line(y)), " ",
                             element("span", {class: "quiet"}, tape.entries[y]?.line || tape.registers[y].kind));
        item.addEventListener("mousedown", event => { event.preventDefault(); choose(i); });
        return item;
      }));
      if (words.length && !found.length) list.append(element("li", {class: "quiet"}, "nothing found"));
      at = -1;
      list.hidden = !words.length;
      input.setAttribute("aria-expanded", String(!list.hidden));
    };
    input.addEventListener("input", search);
    input.addEventListener("focus", search);
    input.addEventListener("blur", close);
    input.addEventListener("keydown", event => {
      const move = {ArrowDown: 1, ArrowUp: -1, Enter: event.shiftKey ? -1 : 1}[event.key];
      if (move && found.length) {
        event.preventDefault();
        choose((at + move + found.length) % found.length);
      } else if (event.key === "Escape") { input.value = ""; close(); input.blur(); }
    });
  }

  // The keys

  key(event) {
    const {state, tape} = this, {target} = event;
    if (event.ctrlKey || event.metaKey || event.altKey || document.getElementById("keys").open) return;
    if (target.matches("input[type=search], select")) return;
    const button = target.matches("button"), actions = {
      ArrowRight: () => state.goTo(state.moment + (event.shiftKey ? 10 : 1)),
      ArrowLeft: () => state.goTo(state.moment - (event.shiftKey ? 10 : 1)),
      Home: () => state.goTo(0),
      End: () => state.goTo(tape.steps.length),
      r: () => state.goTo(tape.turn + 1),
      f: () => this.fold(),
      c: () => state.set({constants: !state.constants}),
      v: () => state.set({follow: !state.follow}),
      t: () => state.set({theme: state.dark ? "light" : "dark"}),
      "+": () => this.graph.zoom(1.3),
      "-": () => this.graph.zoom(1 / 1.3),
      0: () => this.graph.fit(),
      "/": () => document.getElementById("query").focus(),
      "?": () => document.getElementById("keys").showModal(),
      Escape: () => state.set({selected: -1}),
      " ": button ? undefined : () => this.play(!state.playing),
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    if (event.repeat && !/^(Arrow|[-+]$)/.test(event.key)) return;      // what turns something on and off does so once
    state.set({held: event.repeat});
    actions[event.key]();
  }
}
