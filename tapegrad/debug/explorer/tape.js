/* The tape: what stands in the page's JSON, and where to find things in it.

   A register is a number: entries come first, in the order of the tape, then leaves, constants and results from before. A
   moment is the number of steps that have been done; step i is the one that leads from moment i to moment i + 1. */

class Tape {
  constructor(data) {
    Object.assign(this, data);
    const n = this.registers.length;
    this.uses = Array.from({length: n}, () => []);              // register -> the entries that use it
    this.parts = Array.from({length: n}, () => []);             // register -> contributions to its delta, in order
    this.evaluated = new Array(n).fill(-1);                     // register -> the step that computes it, or -1: it is given
    this.swept = new Array(n).fill(-1);                         // register -> the step that passes its delta on
    this.steps.forEach((step, i) => step < 0 ? this.swept[-1 - step] = i : this.evaluated[step] = i);
    this.entries.forEach((entry, z) => {
      for (const y of new Set(entry.operands)) if (typeof y === "number") this.uses[y].push(z);
    });
    this.steps.forEach((step, i) => {
      const z = -1 - step;
      for (const [position, formula, digest] of step < 0 ? this.entries[z].rules || [] : []) {
        const y = this.entries[z].operands[position];
        if (digest !== undefined) this.parts[y].push({step: i, from: z, position, formula, digest});
      }
    });
    this.turn = this.steps.findIndex(step => step < 0);         // the first step of a sweep
    if (this.turn < 0) this.turn = this.steps.length;
    this.turns = this.steps.map((step, i) => i && (step < 0) !== (this.steps[i - 1] < 0) ? i : -1).filter(i => i > 0);
    this.added = this.parts.some(parts => parts.length > 0);    // whether contributions are known
    this.members = this.groups.map(() => []);                   // group -> its registers
    this.sums = new Map();                                      // register -> the sum of the contributions so far
    this.repetition = new Array(n).fill(0);                     // register -> which member of its group it is
    this.registers.forEach((register, i) => {
      if (register.group === undefined) return;
      this.repetition[i] = this.members[register.group].length;
      this.members[register.group].push(i);
    });
  }

  /* Whether the constants, those of a loop folded, are so few that they are shown from the start. */
  get fewConstants() {
    const constants = this.registers.filter(register => register.kind === "constant");
    return new Set(constants.map(register => register.group ?? register)).size <= 12;
  }

  name(y) { return typeof y === "number" ? this.registers[y].name : y; }

  operation(z) { return this.operations[this.entries[z].operation].name; }

  /* The entry that a step is about, or -1, and whether the step belongs to the sweep. */
  at(moment) {
    const step = this.steps[moment - 1];
    return step === undefined ? {z: -1, reverse: false} : step < 0 ? {z: -1 - step, reverse: true} : {z: step, reverse: false};
  }

  /* `tanh(z2)`, with the arguments that are no operands. */
  right(z) {
    const entry = this.entries[z];
    const given = entry.operands.map(y => this.name(y));
    if (entry.static) given.push(entry.static);
    return `${this.operation(z)}(${given.join(", ")})`;
  }

  line(y) {
    const register = this.registers[y];
    return register.kind === "entry" ? `${register.name} = ${this.right(y)}` : register.name;
  }

  hasValue(y, moment) { return this.evaluated[y] < moment; }

  /* What has been added to the delta of y so far: how many contributions of how many, and whether that is all of it. A delta
     that gets no contribution is the seed of a sweep. */
  delta(y, moment) {
    const parts = this.parts[y];
    let arrived = 0;
    while (arrived < parts.length && parts[arrived].step < moment) arrived += 1;
    const seeded = !parts.length && this.registers[y].delta !== undefined && this.swept[y] >= 0 && this.swept[y] < moment;
    const passed = this.swept[y] >= 0 && this.swept[y] < moment;
    return {parts, arrived, complete: passed || seeded || parts.length > 0 && arrived === parts.length,
            known: passed || seeded || arrived > 0};
  }

  /* The sum of the first contributions to the delta of y. It is kept: the next step adds one to it. */
  partial(y, arrived) {
    let kept = this.sums.get(y);
    if (!kept || kept.arrived > arrived) kept = {arrived: 0, terms: []};
    if (kept.arrived < arrived) {
      const more = this.parts[y].slice(kept.arrived, arrived).map(part => this.digests[part.digest]);
      kept = {arrived, terms: [sumOf([...kept.terms, ...more])]};
      this.sums.set(y, kept);
    }
    return kept.terms[0];
  }

  /* A formula as [{text} or {register, delta}], in the names of the entry z. */
  formula(number, z) {
    return this.formulas[number].map(token =>
      typeof token === "string" ? {text: token}
        : token === -1 ? {register: z, delta: true}
        : token === -2 ? {register: z, delta: false}
        : typeof this.entries[z].operands[token] === "number" ? {register: this.entries[z].operands[token], delta: false}
        : {text: this.entries[z].operands[token]});
  }

  formulaText(number, z) {
    return this.formula(number, z).map(token => token.text ?? (token.delta ? "δ" : "") + this.name(token.register)).join("");
  }

  /* The entry from which a value that is not finite comes: the first whose operands all are. */
  origin(y) {
    const bad = x => typeof x === "number" && this.registers[x].value !== undefined
      && !isFiniteDigest(this.digests[this.registers[x].value]);
    const seen = new Set();
    while (bad(y) && this.registers[y].kind === "entry" && !seen.has(y)) {
      seen.add(y);
      const next = this.entries[y].operands.find(bad);
      if (next === undefined) return y;
      y = next;
    }
    return bad(y) ? y : -1;
  }

  /* [start, end] of the words that the page speaks of a moment. */
  spoken(moment) {
    const {z, reverse} = this.at(moment);
    if (z < 0) return "Start. Nothing has been computed yet.";
    if (!reverse) return `Step ${moment}, forward: ${this.line(z)}.`;
    const parts = (this.entries[z].rules || []).map(([position, formula]) =>
      `delta ${this.name(this.entries[z].operands[position])} gets ${this.formulaText(formula, z).replace(/δ/g, "delta ")}`);
    return `Step ${moment}, reverse: ${this.line(z)}. ${parts.join("; ")}.`;
  }
}

function shapeText(shape) { return shape.length ? `(${shape.join(", ")}${shape.length === 1 ? "," : ""})` : "number"; }
