// The playground's page: fields, state in the URL's fragment, and what the worker answers.

const PAUSE_MS = 200;
const LARGEST_FILE = 5_000_000;
const USER_AGENTS = {
  "none": "",
  "Chrome, Windows":
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Safari/537.36",
  "Firefox, Linux": "Mozilla/5.0 (X11; Linux x86_64; rv:119.0) Gecko/20100101 Firefox/119.0",
  "Safari, iPhone":
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1",
  "Edge, Windows":
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Safari/537.36 Edg/119.0.2151.58",
};

const part = (name) => document.getElementById(`pg-${name}`);
const request = part("request");
const artifact = part("artifact");
let examples = [];
let isReady = false;
let latest = 0;
let tab = "Python";

function element(tag, { text, ...attributes } = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  made.append(...children);
  return made;
}

// State in the fragment: compressed JSON of what differs from the example.

async function piped(data, stream) {
  return new Uint8Array(await new Response(new Blob([data]).stream().pipeThrough(stream)).arrayBuffer());
}

async function toFragment(state) {
  const packed = await piped(JSON.stringify(state), new CompressionStream("deflate-raw"));
  let text = "";
  for (const byte of packed) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

async function fromFragment(fragment) {
  const text = atob(fragment.replaceAll("-", "+").replaceAll("_", "/"));
  const packed = Uint8Array.from(text, (character) => character.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(await piped(packed, new DecompressionStream("deflate-raw"))));
}

function exampleNow() {
  return examples.find((one) => one.name === part("example").value) ?? examples[0];
}

async function keepState() {
  const example = exampleNow();
  const state = { example: example.name };
  if (request.value !== example.request) state.request = request.value;
  if (artifact.value !== example.artifact && artifact.value.length < 20_000) state.artifact = artifact.value;
  history.replaceState(null, "", `#${await toFragment(state)}`);
}

async function restoreState() {
  let state = {};
  try {
    if (location.hash.length > 1) state = await fromFragment(location.hash.slice(1));
  } catch {
    part("status").textContent = "The link is damaged, so the page starts with the first example.";
  }
  if (examples.some((one) => one.name === state.example)) part("example").value = state.example;
  const example = exampleNow();
  request.value = state.request ?? example.request;
  artifact.value = state.artifact ?? example.artifact;
  showFields();
}

// Fields that edit the request

function parsedRequest() {
  try {
    const value = JSON.parse(request.value);
    return typeof value === "object" && value !== null ? value : null;
  } catch {
    return null;
  }
}

function mboxesOf(value) {
  return ["execute", "prefetch"].flatMap((mode) => value[mode]?.mboxes ?? []);
}

function showFields() {
  const value = parsedRequest();
  if (value === null) return;
  part("visitor").value = value.id?.tntId ?? "";
  part("url").value = value.context?.address?.url ?? "";
  part("country").value = value.context?.geo?.countryCode ?? "";
  const agent = value.context?.userAgent ?? "";
  part("browser").value = Object.keys(USER_AGENTS).find((name) => USER_AGENTS[name] === agent) ?? "other";
  const parameters = Object.entries(mboxesOf(value)[0]?.parameters ?? {});
  part("parameters").value = parameters.map(([name, text]) => `${name}=${text}`).join("\n");
}

function readFields() {
  const value = parsedRequest();
  if (value === null) return;
  value.id = { ...value.id, tntId: part("visitor").value };
  value.context = { channel: "web", ...value.context };
  value.context.address = { ...value.context.address, url: part("url").value };
  value.context.geo = { ...value.context.geo, countryCode: part("country").value.toUpperCase() };
  if (part("browser").value !== "other") value.context.userAgent = USER_AGENTS[part("browser").value];
  const lines = part("parameters").value.split("\n").filter((line) => line.includes("="));
  const pairs = lines.map((line) => [line.slice(0, line.indexOf("=")).trim(), line.slice(line.indexOf("=") + 1)]);
  for (const mbox of mboxesOf(value)) mbox.parameters = Object.fromEntries(pairs);
  request.value = JSON.stringify(value, null, 2);
}

// Answers

function showError(error) {
  for (const name of ["request", "artifact"]) {
    const line = part(`${name}-error`);
    line.hidden = error?.field !== name;
    line.textContent = error?.field === name ? error.message : "";
    part(name).setAttribute("aria-invalid", String(error?.field === name));
  }
}

function shownOffer(offer) {
  const nodes = [element("pre", { text: offer.content })];
  if (offer.type === "html") {
    const frame = element("iframe", { sandbox: "", title: "the offer as HTML" });
    frame.srcdoc = offer.content;
    nodes.unshift(frame);
  }
  return nodes;
}

function shownRule(rule) {
  const classes = `pg-rule${rule.isMatched ? " pg-matched" : ""}${rule.isReached ? "" : " pg-unreached"}`;
  const title = element("div", {}, element("strong", { text: `${rule.isMatched ? "✓" : "✗"} ${rule.experience}` }));
  const parts = rule.parts.map(({ depth, holds, text, value }) => {
    const mark = holds === null ? "·" : holds ? "✓" : "✗";
    return element("div", { class: "pg-part", style: `margin-left: ${depth}rem`, text: `${mark} ${text} ${value ?? ""}` });
  });
  return element("div", { class: classes }, title, element("div", { text: rule.reason }), ...parts);
}

function shownLocation(location) {
  const section = element("section", {}, element("h3", { text: `${location.type} ${location.name}` }));
  if (location.isRemote) section.append(element("p", { text: "Only Adobe Target itself can decide this." }));
  if (location.offers.length === 0) section.append(element("p", { text: "Default content" }));
  section.append(...location.offers.flatMap(shownOffer));
  const why = element("details", { open: "" }, element("summary", { text: "Why" }), ...location.rules.map(shownRule));
  if (location.rules.length === 0) why.append(element("p", { text: "The artifact has no rules for it." }));
  if (location.changes.length) {
    const changes = location.changes.map((text) => element("li", { text }));
    why.append(element("p", { text: "The answer depends on:" }), element("ul", {}, ...changes));
  }
  section.append(why);
  return section;
}

function shownBar({ name, count }, visitors) {
  const share = (100 * count) / visitors;
  const fill = element("div", { class: "pg-fill", style: `width: ${share}%` });
  return element(
    "div",
    { class: "pg-bar" },
    element("span", { text: name, title: name }),
    element("div", { class: "pg-track" }, fill),
    element("span", { text: `${share.toFixed(1)} %` }),
  );
}

function showSplit({ mboxes, visitors, error }) {
  if (error) return;
  const title = element("h3", { text: `${visitors.toLocaleString("en")} visitors of new ids` });
  const bars = mboxes.flatMap(({ name, experiences }) => [
    element("div", {}, element("strong", { text: name })),
    ...experiences.map((one) => shownBar(one, visitors)),
  ]);
  part("split").replaceChildren(title, ...bars);
}

function showCode(code) {
  const block = element("pre", { text: code[tab] });
  const buttons = Object.keys(code).map((name) => {
    const button = element("button", { type: "button", text: name, "aria-pressed": String(name === tab) });
    button.addEventListener("click", () => {
      tab = name;
      showCode(code);
    });
    return button;
  });
  const tabs = element("div", { class: "pg-tabs" }, ...buttons);
  part("code").replaceChildren(element("h3", { text: "The same call" }), tabs, block);
}

function showCompiled({ findings, compiled }) {
  const lines = findings.map((text) => element("p", { class: "pg-finding", text }));
  const open = part("compiled").querySelector("details")?.open ? { open: "" } : {};
  const shown = compiled === null ? [] : [
    element("details", open, element("summary", { text: "Compiled artifact" }), element("pre", { text: compiled })),
  ];
  part("compiled").replaceChildren(...lines, ...shown);
}

function showAnswer(result) {
  showError(result.error);
  part("output").setAttribute("aria-busy", "false");
  if (result.error) return;
  part("offers").replaceChildren(...result.locations.map(shownLocation));
  showCode(result.code);
  showCompiled(result);
}

// Work

function start() {
  const missing = [
    typeof WebAssembly === "object" ? "" : "WebAssembly",
    typeof Worker === "function" ? "" : "workers",
    typeof CompressionStream === "function" ? "" : "compression streams",
  ].filter(Boolean);
  if (missing.length) {
    part("status").textContent = `This browser has no ${missing.join(", no ")}, which the playground needs.`;
    return;
  }
  const worker = new Worker(new URL("worker.mjs", import.meta.url), { type: "module" });

  function ask() {
    latest += 1;
    part("output").setAttribute("aria-busy", "true");
    const state = { request: request.value, artifact: artifact.value };
    worker.postMessage({ kind: "answer", id: latest, state });
    worker.postMessage({ kind: "split", id: latest, state });
    keepState();
  }

  let pause = 0;
  function askSoon() {
    clearTimeout(pause);
    if (isReady) pause = setTimeout(ask, PAUSE_MS);
  }

  async function open(file) {
    if (file.size > LARGEST_FILE) {
      showError({ field: "artifact", message: `${file.name} is larger than 5 MB` });
      return;
    }
    artifact.value = await file.text();
    askSoon();
  }

  worker.onerror = () => {
    part("status").textContent =
      "Python is not part of this build of the site. scripts/docs playground builds it in.";
  };
  worker.onmessage = async ({ data }) => {
    if (data.kind === "failed") {
      part("status").textContent = `Python could not be loaded: ${data.result}`;
    } else if (data.kind === "ready") {
      examples = data.result;
      part("example").replaceChildren(...examples.map(({ name }) => element("option", { text: name, value: name })));
      part("status").textContent = "";
      await restoreState();
      isReady = true;
      ask();
    } else if (data.id === latest) {
      (data.kind === "answer" ? showAnswer : showSplit)(data.result);
    }
  };

  for (const name of ["visitor", "url", "browser", "country", "parameters"]) {
    part(name).addEventListener("input", () => {
      readFields();
      askSoon();
    });
  }
  request.addEventListener("input", () => {
    showFields();
    askSoon();
  });
  // Of another link in the same tab; replaceState emits no such event.
  addEventListener("hashchange", async () => {
    if (!isReady) return;
    await restoreState();
    ask();
  });
  artifact.addEventListener("input", askSoon);
  part("example").addEventListener("change", () => {
    const example = exampleNow();
    request.value = example.request;
    artifact.value = example.artifact;
    showFields();
    askSoon();
  });
  part("file").addEventListener("change", ({ target }) => target.files[0] && open(target.files[0]));
  part("form").addEventListener("submit", (event) => event.preventDefault());
  part("form").addEventListener("dragover", (event) => {
    event.preventDefault();
    artifact.classList.add("pg-drop");
  });
  part("form").addEventListener("dragleave", () => artifact.classList.remove("pg-drop"));
  part("form").addEventListener("drop", (event) => {
    event.preventDefault();
    artifact.classList.remove("pg-drop");
    if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
  });
}

const browsers = [...Object.keys(USER_AGENTS), "other"];
part("browser").replaceChildren(...browsers.map((name) => element("option", { text: name, value: name })));
start();
