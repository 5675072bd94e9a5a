"use strict";
/* Adobe's Node SDK as a contestant, offline; see `run_targetry.py`. Run with NODE_PATH. */
const fs = require("node:fs");
const readline = require("node:readline");
const TargetClient = require("@adobe/target-nodejs-sdk");

const BATCH_MS = 1;

async function stubFetch() {
  const body = { status: 200, requestId: "1", client: "acme", id: {} };
  return {
    ok: true,
    status: 200,
    headers: { get: () => null },
    json: async () => body,
    text: async () => JSON.stringify(body),
  };
}

function clientFor(artifactPayload) {
  return new Promise((ready) => {
    const client = TargetClient.create({
      client: "acme",
      organizationId: "ABC@AdobeOrg",
      decisioningMethod: "on-device",
      pollingInterval: 0,
      telemetryEnabled: false,
      targetLocationHint: "28",
      logger: { debug() {}, error() {} },
      fetchApi: stubFetch,
      artifactPayload,
      events: { clientReady: () => ready(client) },
    });
  });
}

async function timed(call, size) {
  const started = performance.now();
  for (let i = 0; i < size; i += 1) await call();
  return performance.now() - started;
}

async function measure(call, seconds, size) {
  const batches = [];
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end || batches.length < 3) batches.push((await timed(call, size)) / size);
  return batches;
}

function timing(batches, calls) {
  const sorted = batches.map((ms) => ms * 1000).sort((a, b) => a - b);
  return { best_us: sorted[0], median_us: sorted[Math.floor(sorted.length / 2)], calls };
}

async function decide({ artifact, requests, rounds, seconds }) {
  const client = await clientFor(JSON.parse(fs.readFileSync(artifact)));
  const ask = (request) => client.getOffers({ request, sessionId: "s" });
  const { response } = await ask(requests[0]);
  if (requests.length > 1) {
    const batches = [];
    for (let i = 0; i + 20 <= requests.length; i += 20) {
      let turn = i;
      batches.push((await timed(() => ask(requests[turn++]), 20)) / 20);
    }
    return { ...timing(batches, requests.length), response };
  }
  const same = () => ask(requests[0]);
  await measure(same, seconds / 4, 1); // the compiler's warm-up
  const size = Math.max(1, Math.round(BATCH_MS / Math.max((await timed(same, 10)) / 10, 1e-4)));
  const batches = await measure(same, seconds, size);
  return { ...timing(batches, batches.length * size), response };
}

function residentMb() {
  if (globalThis.gc) globalThis.gc();
  return process.memoryUsage().rss / 1e6;
}

async function load({ artifact }) {
  await clientFor({ version: "1.0.0", meta: {}, rules: { mboxes: {}, views: {} } });
  const before = residentMb();
  const started = performance.now();
  const client = await clientFor(JSON.parse(fs.readFileSync(artifact)));
  const seconds = (performance.now() - started) / 1000;
  const { response } = await client.getOffers({
    request: { context: { channel: "web" }, execute: { mboxes: [{ name: "x" }] } },
  });
  return { seconds, resident_mb: residentMb() - before, traced_mb: null, ready: response !== undefined };
}

async function main() {
  const actions = { decide, load };
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    process.stdout.write(`${JSON.stringify(await actions[command.do](command))}\n`);
  }
}

main();
