"use strict";
/*
 * Puts visitors into buckets with the hash of @adobe/target-tools:
 * {"client": ..., "activities": [...], "visitors": [...]} a line in, the buckets of each visitor, activity by activity, a line out.
 */
const readline = require("node:readline");
const { hashUnencodedChars } = require("@adobe/target-tools");

function buckets({ client, activities, visitors }) {
  return visitors.map((visitor) =>
    activities.map((activity) => Math.abs(hashUnencodedChars(`${client}.${activity}.${visitor}.0`)) % 10000)
  );
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(buckets(JSON.parse(line)))}\n`);
  }
}

main();
