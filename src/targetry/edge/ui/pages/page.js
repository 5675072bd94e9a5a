"use strict";
const POLL_MS = 2000, PAUSE_MS = 200, MOST_ROWS = 500;
const byId = (id) => document.getElementById(id);
const rows = byId("rows"), filter = byId("filter"), live = byId("live");

async function load(path) {
  const answer = await fetch(path, { cache: "no-store" });
  if (!answer.ok) throw new Error(answer.status);
  return answer;
}

async function parts(path) {
  const answer = await load(path), holder = document.createElement("template");
  holder.innerHTML = await answer.text();
  return { answer, content: holder.content };
}

function later(run) {
  let pending;
  return () => { clearTimeout(pending); pending = setTimeout(run, PAUSE_MS); };
}

function filtered(more) {
  const fields = new URLSearchParams(more);
  for (const [name, value] of new FormData(filter)) if (value) fields.append(name, value);
  return fields;
}

async function search() {
  const { answer, content } = await parts("recent?" + filtered());
  rows.dataset.latest = answer.headers.get("x-latest") ?? 0;
  rows.replaceChildren(content);
  const by = new URLSearchParams(location.search).get("by");
  history.replaceState(null, "", "./?" + filtered(by === null ? {} : { by }) + "#requests");
}

async function addOlder(link) {
  const before = new URL(link.href).searchParams.get("before");
  const { content } = await parts("recent?" + filtered({ before }));
  link.closest("li").replaceWith(content);
}

async function explain(details) {
  const why = details.querySelector(".why"), link = why.querySelector(":scope > a");
  if (link === null) return;
  try {
    why.replaceChildren(...(await parts(link.href)).content.getElementById("detail").childNodes);
  } catch {
    why.append(" the edge no longer has this request");
  }
}

async function refreshRows() {
  const { answer, content } = await parts("recent?" + filtered({ after: rows.dataset.latest }));
  if (answer.status === 204) return;
  rows.dataset.latest = answer.headers.get("x-latest");
  for (const one of content.querySelectorAll("li")) one.classList.add("new");
  content.querySelector(".more")?.remove();
  rows.prepend(content);
  while (rows.childElementCount > MOST_ROWS) rows.lastElementChild.remove();
}

async function refreshSection(name) {
  const section = byId(name), fields = new URLSearchParams({ have: section.dataset.tag });
  const by = new URLSearchParams(location.search).get("by");
  if (by !== null) fields.set("by", by);
  const { answer, content } = await parts(name + "?" + fields);
  if (answer.status === 204) return;
  section.dataset.tag = answer.headers.get("x-tag");
  section.replaceChildren(content);
}

function tell(isLive) {
  live.hidden = false;
  live.className = isLive ? "on" : "off";
  live.textContent = isLive ? "live" : "the edge does not answer";
}

async function refresh() {
  if (document.hidden) return;
  await refreshRows();
  await refreshSection("activities");
  await refreshSection("report");
}

async function watch() {
  await refresh().then(() => tell(true), () => tell(false));
  setTimeout(watch, POLL_MS);
}

function question() {
  const fields = new URLSearchParams();
  for (const [name, value] of new FormData(byId("ask"))) if (value && (name !== "mode" || value !== "execute")) fields.append(name, value);
  return fields;
}

let asked = 0;
async function ask(form) {
  const number = ++asked;
  const response = await fetch("ask?" + question(), { cache: "no-store" });
  const holder = document.createElement("template");
  holder.innerHTML = await response.text();
  const answer = holder.content.getElementById("answer");
  if (number !== asked) return;
  if (answer === null) throw new Error(response.status);
  if (!form.elements.tnt_id.value && !form.elements.third_party_id.value && !form.elements.ecid.value) {
    form.elements.tnt_id.value = answer.dataset.tntId;
  }
  byId("answer").replaceWith(answer);
  history.replaceState(null, "", response.url);
}

document.addEventListener("click", async (event) => {
  if (!event.target.matches("button.copies")) return;
  await navigator.clipboard.writeText(event.target.parentElement.querySelector("code").textContent);
  event.target.textContent = "Copied";
});

const form = byId("ask");
if (form !== null) {
  const soon = later(() => ask(form).then(() => { live.hidden = true; }, () => tell(false)));
  form.addEventListener("input", soon);
  form.addEventListener("submit", (event) => { event.preventDefault(); soon(); });
}

const editor = byId("edit");
async function preview() {
  const number = ++asked, body = new URLSearchParams(new FormData(editor));
  const response = await fetch(editor.getAttribute("action"), { method: "POST", body, cache: "no-store" });
  const holder = document.createElement("template");
  holder.innerHTML = await response.text();
  const shown = holder.content.getElementById("preview");
  if (number !== asked) return;
  if (shown === null) throw new Error(response.status);
  byId("preview").replaceWith(shown);
}

if (editor !== null) {
  editor.addEventListener("input", later(() => preview().then(() => { live.hidden = true; }, () => tell(false))));
  document.addEventListener("click", (event) => {
    if (!event.target.matches("button.goto")) return;
    const text = byId("text"), { line, column } = event.target.dataset;
    const before = text.value.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    text.focus();
    text.setSelectionRange(before + Number(column) - 1, before + Number(column));
  });
}

if (rows !== null) {
  const soon = later(() => search().catch(() => tell(false)));
  filter.addEventListener("input", soon);
  filter.addEventListener("submit", (event) => { event.preventDefault(); soon(); });
  rows.addEventListener("toggle", (event) => { if (event.target.open) explain(event.target); }, true);
  rows.addEventListener("click", (event) => {
    if (!event.target.matches("a.older")) return;
    event.preventDefault();
    addOlder(event.target).catch(() => tell(false));
  });
  tell(true);
  setTimeout(watch, POLL_MS);
}
