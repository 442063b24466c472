/* A layered layout: a row per depth, every node near its neighbours, edges bent where they pass a row.

   It is Sugiyama's method (1981), with means for medians. In a long, unfolded tape an edge may pass thousands of rows: one that
   is longer than FAR is drawn as a stub with the name of its other end. */

const SIZES = {entry: [180, 76], leaf: [166, 68], constant: [100, 68], before: [126, 68]};
const ROOMY = {entry: [222, 80], leaf: [212, 74], constant: [118, 74], before: [212, 74]};     // with room for numbers
const GAP_X = 22, GAP_Y = 40, BEND = 6, FAR = 9, ROUNDS = 14, FEW = 40;

class Layout {
  constructor(folded) {
    this.nodes = folded.nodes;
    this.edges = [...folded.edges.values()];
    const sizes = this.nodes.length <= FEW ? ROOMY : SIZES;
    for (const node of this.nodes) [node.width, node.height] = sizes[node.kind];
    this.high = sizes.entry[1];
    this.pitch = this.high + GAP_Y;
    this.place();
    this.rows = new Map();
    for (const node of this.nodes) {
      if (!this.rows.has(node.depth)) this.rows.set(node.depth, []);
      this.rows.get(node.depth).push(node);
    }
    const lefts = this.nodes.map(node => node.x - node.width / 2), rights = this.nodes.map(node => node.x + node.width / 2);
    this.left = lefts.reduce((a, b) => Math.min(a, b), 0);
    this.right = rights.reduce((a, b) => Math.max(a, b), 0);
    this.bottom = (this.deepest + 1) * this.pitch - GAP_Y;
    this.lanes = 0;
    for (const edge of this.edges) if (edge.back) edge.lane = this.right + 16 + 9 * (this.lanes++ % 12);
  }

  place() {
    const into = node => node.into.filter(edge => !edge.back && edge.from.kind === "entry");
    for (const node of this.nodes) {
      if (node.kind === "entry") node.depth = 1 + into(node).reduce((depth, edge) => Math.max(depth, edge.from.depth), 0);
    }
    for (const node of this.nodes.slice().reverse()) {  // one that is used more than it uses stands above its uses
      const after = node.outOf.filter(edge => !edge.back);
      if (node.kind === "entry" && after.length > into(node).length) {
        node.depth = after.reduce((depth, edge) => Math.min(depth, edge.to.depth), Infinity) - 1;
      }
    }
    this.deepest = 0;
    for (const node of this.nodes) {
      if (node.kind !== "entry") node.depth = Math.min(...node.outOf.map(edge => edge.to.depth)) - 1;
      this.deepest = Math.max(this.deepest, node.depth);
    }
    const rows = Array.from({length: this.deepest + 1}, () => []);
    for (const node of this.nodes) rows[node.depth].push(node);
    for (const edge of this.edges) {
      if (edge.back) continue;
      edge.far = edge.to.depth - edge.from.depth > FAR;
      edge.points = [edge.from];
      if (!edge.far) {
        for (let depth = edge.from.depth + 1; depth < edge.to.depth; depth++) {
          const bend = {bend: true, depth, width: BEND};
          edge.points.push(bend);
          rows[depth].push(bend);
        }
      }
      edge.points.push(edge.to);
    }
    const near = new Map();
    for (const row of rows) for (const node of row) near.set(node, []);
    for (const {points, far, back} of this.edges) {
      if (far || back) continue;
      for (let i = 1; i < points.length; i++) {
        near.get(points[i - 1]).push(points[i]);
        near.get(points[i]).push(points[i - 1]);
      }
    }
    for (const row of rows) spread(row, row.map((_, i) => i * 60));
    for (let round = 0; round < ROUNDS; round++) {
      for (const row of round % 2 ? rows.slice().reverse() : rows) {
        const wish = new Map(row.map(node => {
          const others = near.get(node);
          return [node, others.length ? others.reduce((sum, other) => sum + other.x, 0) / others.length : node.x];
        }));
        row.sort((a, b) => wish.get(a) - wish.get(b));
        spread(row, row.map(node => wish.get(node)));
      }
    }
    rows.forEach((row, depth) => {
      for (const node of row) node.y = depth * this.pitch + (node.bend ? this.high / 2 : 0);
    });
  }

  /* The nodes that a rectangle of the drawing shows. */
  visible(left, top, right, bottom) {
    const found = [];
    for (let depth = Math.floor(top / this.pitch) - 1; depth <= bottom / this.pitch; depth++) {
      for (const node of this.rows.get(depth) || []) {
        if (node.x + node.width / 2 >= left && node.x - node.width / 2 <= right) found.push(node);
      }
    }
    return found;
  }
}

/* Place the nodes of a row near their wishes, in order, without overlaps; their mean place is their mean wish. */
function spread(row, wishes) {
  let shift = 0;
  row.forEach((node, i) => {
    const before = row[i - 1];
    node.x = i ? Math.max(wishes[i], before.x + (before.width + node.width) / 2 + GAP_X) : wishes[i];
    shift += (wishes[i] - node.x) / row.length;
  });
  for (const node of row) node.x += shift;
}

/* The path of an edge, relative to an origin; [path, the point at its middle]. */
function pathOf(edge, layout, [ox, oy]) {
  const {from, to} = edge, bottom = from.y + from.height - oy, top = to.y - oy;
  if (edge.back) {
    const x1 = from.x - ox, x2 = to.x + 12 - ox, out = edge.lane - ox;
    return [`M${x1},${bottom} C${x1},${bottom + 30} ${out},${bottom + 30} ${out},${bottom - 10} L${out},${top} `
            + `C${out},${top - 34} ${x2},${top - 34} ${x2},${top - 3}`, [out, (bottom + top) / 2]];
  }
  if (edge.far) return [`M${to.x - ox},${top - 22} L${to.x - ox},${top - 3}`, [to.x - ox, top - 24]];
  let x = from.x - ox, y = bottom, path = `M${x},${y}`, middle = [0, 0];
  for (const point of edge.points.slice(1)) {
    const px = point.x - ox, py = point === to ? top - 3 : point.y - oy;
    path += ` C${x},${y + (py - y) * 0.5} ${px},${py - (py - y) * 0.5} ${px},${py}`;
    middle = [(x + px) / 2, (y + py) / 2];
    [x, y] = [px, py];
  }
  return [path, middle];
}
