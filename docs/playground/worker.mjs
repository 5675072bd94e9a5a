// Runs the playground's Python on Pyodide, away from the page, from files of this site only.

import { loadPyodide } from "./pyodide/pyodide.mjs";

const here = new URL("./", import.meta.url);

async function bytes(path) {
  const response = await fetch(new URL(path, here));
  if (!response.ok) throw new Error(`${path} is missing: HTTP ${response.status}`);
  return response.arrayBuffer();
}

async function load() {
  const pyodide = await loadPyodide({ indexURL: new URL("pyodide/", here).href });
  const names = JSON.parse(new TextDecoder().decode(await bytes("wheels.json")));
  for (const name of names) pyodide.unpackArchive(await bytes(`wheels/${name}`), "wheel");
  pyodide.FS.writeFile("playground.py", new Uint8Array(await bytes("playground.py")));
  return pyodide.pyimport("playground");
}

const loaded = load();
loaded.then(
  (playground) => postMessage({ kind: "ready", result: JSON.parse(playground.examples()) }),
  (error) => postMessage({ kind: "failed", result: String(error.message ?? error) }),
);

onmessage = async ({ data }) => {
  const playground = await loaded;
  const result = JSON.parse(playground[data.kind](JSON.stringify(data.state)));
  postMessage({ kind: data.kind, id: data.id, result });
};
