"use strict";
const rows = document.getElementById("rows");
const live = document.getElementById("live");
live.hidden = false;

function tell(isLive) {
  live.className = isLive ? "on" : "off";
  live.textContent = isLive ? "live" : "the edge does not answer";
}

async function refresh() {
  const answer = await fetch("recent?after=" + rows.dataset.latest, { cache: "no-store" });
  if (!answer.ok) throw new Error(answer.status);
  if (answer.status === 204) return;
  const fresh = document.createElement("template");
  fresh.innerHTML = await answer.text();
  const first = fresh.content.querySelector("li[data-number]");
  if (first === null) return;
  rows.dataset.latest = first.dataset.number;
  for (const row of fresh.content.children) row.classList.add("new");
  rows.prepend(fresh.content);
  while (rows.childElementCount > Number(rows.dataset.capacity)) rows.lastElementChild.remove();
}

async function watch() {
  if (!document.hidden) await refresh().then(() => tell(true), () => tell(false));
  setTimeout(watch, 2000);
}

tell(true);
setTimeout(watch, 2000);
