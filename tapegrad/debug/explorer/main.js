/* The page: the tape is read, each view is made, and from then on views follow the state. */

const tape = new Tape(JSON.parse(document.getElementById("tape-data").textContent));
const state = new State(tape);
const graph = new Graph(tape, state);
const listing = new Listing(tape, state);
const source = new Source(tape, state);
const inspector = new Inspector(tape, state);
const controls = new Controls(tape, state, graph);

function showScale() {
  const cells = Array.from({length: 256}, (_, i) => i / 127.5 - 1);
  paint(document.getElementById("scale"), {columns: 256, cells}, state.dark);
}

state.listeners.push(changed => { if (changed.has("theme")) showScale(); });
showScale();
graph.start();
state.tell();
