"use strict";
/*
 * Answers on-device decisions with Adobe's Node SDK, offline: one JSON line in, one JSON line out.
 *
 * in:  {"define": name, "artifact": {...}}                            (keeps an artifact; answers {"defined": name})
 *      {"artifact": name | {...}, "request": {...}, "sessionId": str, "now": epoch ms, "conf": {...}, "geo": {...}, "offers": {...}}
 * out: {"response", "meta", "cookie", "trace", "tokens", "sent": [{"url", "body"}]}  or  {"error": text, "sent": [...]}
 *
 * Run with NODE_PATH naming the folder that holds @adobe/target-nodejs-sdk.
 */
const readline = require("node:readline");
const TargetClient = require("@adobe/target-nodejs-sdk");

const RealDate = Date;
let clock = null; // epoch ms that the SDK sees, or null for the real time

class CaseDate extends RealDate {
  constructor(...given) {
    if (given.length === 0 && clock !== null) super(clock);
    else super(...given);
  }
  static now() {
    return clock === null ? RealDate.now() : clock;
  }
}
globalThis.Date = CaseDate;

const artifacts = new Map();
const silent = { debug() {}, error() {} };

function answer(status, body) {
  const text = JSON.stringify(body);
  return {
    ok: status < 400,
    status,
    statusText: "",
    headers: { get: () => null },
    text: async () => text,
    json: async () => JSON.parse(text),
    clone() {
      return this;
    },
  };
}

function offlineFetch(geo, sent) {
  return async (url, options) => {
    const address = String(url);
    if (address.includes("/v1/geo")) return answer(geo ? 200 : 404, geo || {});
    if (!address.includes("/rest/v1/delivery")) return answer(404, {});
    sent.push({ url: address, body: JSON.parse(options.body) });
    return answer(200, { status: 200, requestId: "stub", client: "stub", id: {} });
  };
}

function clientFor(artifact, conf, geo, sent) {
  return new Promise((ready) => {
    const client = TargetClient.create({
      client: "acme",
      organizationId: "ABC@AdobeOrg",
      decisioningMethod: "on-device",
      pollingInterval: 0,
      telemetryEnabled: false,
      logger: silent,
      // A known hint spares the SDK its first request to the network; undefined ids then end in ".28_0".
      targetLocationHint: "28",
      ...conf,
      artifactPayload: artifact,
      fetchApi: offlineFetch(geo, sent),
      events: { clientReady: () => ready(client) },
    });
  });
}

// The SDK sends its notification after it has answered. Its timers are counted so that nothing is waited for by the clock.
const timers = new Set();
const realSetTimeout = globalThis.setTimeout;
globalThis.setTimeout = (work, delay, ...given) => {
  const timer = realSetTimeout(() => {
    timers.delete(timer);
    work(...given);
  }, delay);
  if (!(delay > 1000)) timers.add(timer);
  return timer;
};
const realClearTimeout = globalThis.clearTimeout;
globalThis.clearTimeout = (timer) => {
  timers.delete(timer);
  realClearTimeout(timer);
};
const turn = () => new Promise((done) => setImmediate(done));

async function settled() {
  for (let quiet = 0; quiet < 10; quiet += 1) {
    if (timers.size > 0) quiet = 0;
    await turn();
  }
}

async function decide(question) {
  const sent = [];
  const artifact = typeof question.artifact === "string" ? artifacts.get(question.artifact) : question.artifact;
  clock = question.now === undefined ? null : question.now;
  try {
    const client = await clientFor(JSON.parse(JSON.stringify(artifact)), question.conf, question.geo, sent);
    const result = await client.getOffers({ request: question.request, sessionId: question.sessionId, ...question.offers });
    await settled();
    return {
      response: result.response,
      meta: result.meta,
      cookie: result.targetCookie,
      trace: result.trace,
      tokens: result.responseTokens,
      sent,
    };
  } catch (error) {
    await settled();
    return { error: error instanceof Error ? `${error.name}: ${error.message}` : String(error), sent };
  }
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const question = JSON.parse(line);
    let result;
    if (question.define !== undefined) {
      artifacts.set(question.define, question.artifact);
      result = { defined: question.define };
    } else {
      result = await decide(question);
    }
    process.stdout.write(`${JSON.stringify(result)}\n`);
  }
}

process.on("unhandledRejection", () => {});
main();
