/* The graph that is shown: a node for each register, or one for all repetitions of a call if their loop is folded.

   An edge to a node that comes earlier is a back edge: it comes from the step before. */

class Folded {
  constructor(tape, unfolded, constants) {
    this.tape = tape;
    this.nodes = [];
    this.nodeOf = new Map();            // register -> node
    this.edges = new Map();             // "from>to" -> edge
    const ofGroup = new Map();
    const include = y => {
      if (this.nodeOf.has(y)) return;
      const {kind, group} = tape.registers[y];
      const folded = group !== undefined && !unfolded.has(tape.groups[group].loop);
      let node = folded ? ofGroup.get(group) : undefined;
      if (!node) {
        node = {id: this.nodes.length, kind, members: [], group: folded ? group : -1, into: [], outOf: []};
        this.nodes.push(node);
        if (folded) ofGroup.set(group, node);
      }
      node.members.push(y);
      this.nodeOf.set(y, node);
    };
    tape.entries.forEach((_, z) => include(z));
    tape.registers.forEach(({kind}, y) => {
      if (kind === "leaf" || kind === "before" || kind === "constant" && constants) include(y);
    });
    tape.entries.forEach((entry, z) => {
      for (const y of entry.operands) if (this.nodeOf.has(y)) this.connect(this.nodeOf.get(y), this.nodeOf.get(z));
    });
    for (const edge of this.edges.values()) {
      edge.from.outOf.push(edge);
      edge.to.into.push(edge);
    }
  }

  connect(from, to) {
    const key = `${from.id}>${to.id}`;
    if (!this.edges.has(key)) this.edges.set(key, {from, to, back: from.kind === "entry" && from.id >= to.id});
  }

  edge(y, z) {
    return this.edges.get(`${this.nodeOf.get(y)?.id}>${this.nodeOf.get(z)?.id}`);
  }

  /* The member of a node that is shown at a moment: the last one that a step was about, or else the first. */
  member(node, moment) {
    if (node.members.length === 1) return node.members[0];
    const {tape} = this, {z, reverse} = tape.at(moment);
    if (this.nodeOf.get(z) === node) return z;
    const among = y => this.nodeOf.get(y) === node;
    if (z >= 0) {
      const near = reverse ? [...(tape.entries[z].operands), ...tape.uses[z]] : tape.entries[z].operands;
      const used = near.find(y => typeof y === "number" && among(y));
      if (used !== undefined) return used;
    }
    if (node.kind !== "entry") {
      const user = node.members.find(y => tape.uses[y].some(use => tape.evaluated[use] >= moment - 1));
      return reverse || user === undefined ? node.members[node.members.length - 1] : user;
    }
    const {members} = node;             // of those that are computed the last one; the sweep meets the last first
    const at = first(members, y => reverse ? tape.swept[y] >= 0 && tape.swept[y] < moment : tape.evaluated[y] >= moment);
    return members[Math.max(0, Math.min(members.length - 1, reverse ? at : at - 1))];
  }

  /* The two lines of a node. */
  title(node, moment) {
    const {tape} = this, y = this.member(node, moment), register = tape.registers[y];
    const name = node.members.length > 1 ? tape.groups[node.group].name || register.name : register.name;
    return node.kind === "entry" ? [name, tape.operation(y)] : [name, ""];
  }
}

/* The first index from which on a condition holds, by bisection; the length if it holds nowhere. */
function first(list, holds) {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(list[middle])) high = middle; else low = middle + 1;
  }
  return low;
}
