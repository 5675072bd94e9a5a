"use strict";
/*
 * Evaluates flags of an edge with OpenFeature's OFREP providers for Node and for web pages.
 *
 * argument: {"url": str, "flags": [[key, default], …], "context": {…}, "token": str or null}
 * out: a line {"server": [details, …], "web": [details, …]}; then, after a change of the artifact, a line
 *      {"changed": [keys], "web": [details, …]}.
 * details: {"value", "reason", "variant", "errorCode"}
 *
 * Run with NODE_PATH naming the folder that holds @openfeature, and with --experimental-eventsource if
 * there is no EventSource.
 */
const server = require("@openfeature/server-sdk");
const web = require("@openfeature/web-sdk");
const { OFREPProvider } = require("@openfeature/ofrep-provider");
const { OFREPWebProvider } = require("@openfeature/ofrep-web-provider");

const KINDS = { boolean: "Boolean", string: "String", number: "Number", object: "Object" };

async function main({ url, flags, context, token }) {
  const headers = token === null ? [] : [["Authorization", `Bearer ${token}`]];
  await server.OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl: url, headers }));
  const remote = server.OpenFeature.getClient();
  const evaluated = [];
  for (const [key, value] of flags) {
    evaluated.push(shown(await remote[`get${KINDS[typeof value]}Details`](key, value, context)));
  }

  await web.OpenFeature.setContext(context);
  const provider = new OFREPWebProvider({ baseUrl: url, headers, pollInterval: 0, cacheMode: "disabled" });
  await web.OpenFeature.setProviderAndWait(provider);
  const page = web.OpenFeature.getClient();
  const cached = () => flags.map(([key, value]) => shown(page[`get${KINDS[typeof value]}Details`](key, value)));
  const changed = new Promise((resolve) =>
    page.addHandler(web.ProviderEvents.ConfigurationChanged, (details) => resolve(details.flagsChanged)),
  );
  print({ server: evaluated, web: cached() });
  print({ changed: await changed, web: cached() });
  await web.OpenFeature.close();
  await server.OpenFeature.close();
  process.exit(0);
}

function shown({ value, reason, variant, errorCode }) {
  return { value, reason, variant, errorCode };
}

function print(document) {
  process.stdout.write(`${JSON.stringify(document)}\n`);
}

main(JSON.parse(process.argv[2])).catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
