"use strict";
/*
 * Asks an edge with Adobe's Node SDK.
 *
 * argument: {"host": "127.0.0.1:8080", "client": str, "visitors": [tnt id, …]}
 * out:      {"experiences": [name for each visitor], "notified": [ids that the edge accepted]}
 *
 * Run with NODE_PATH naming the folder that holds @adobe/target-nodejs-sdk.
 */
const TargetClient = require("@adobe/target-nodejs-sdk");

async function main({ host, client: code, visitors }) {
  const client = TargetClient.create({
    client: code,
    organizationId: "0123456789ABCDEF01234567@AdobeOrg",
    serverDomain: host,
    secure: false,
    telemetryEnabled: false,
    logger: { debug() {}, error() {} },
  });
  const experiences = [];
  for (const tntId of visitors) {
    const { response } = await client.getOffers({
      request: { id: { tntId }, execute: { mboxes: [{ name: "hero" }] } },
    });
    experiences.push(response.execute.mboxes[0].options[0].responseTokens["experience.name"]);
  }
  const id = { tntId: visitors[0] };
  const { response } = await client.getOffers({ request: { id, prefetch: { mboxes: [{ name: "hero" }] } } });
  const tokens = [response.prefetch.mboxes[0].options[0].eventToken];
  const notification = { id: "node-1", type: "display", timestamp: Date.now(), mbox: { name: "hero" }, tokens };
  const told = await client.sendNotifications({ request: { id, notifications: [notification] } });
  return { experiences, notified: told.response.notifications.map((one) => one.id) };
}

main(JSON.parse(process.argv[2])).then(
  (told) => console.log(JSON.stringify(told)),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
