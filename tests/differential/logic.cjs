"use strict";
/*
 * Evaluates JSON Logic with json-logic-js: {"rule": ..., "data": ...} a line in,
 * {"result": ...}, {"undefined": true} or {"error": text} a line out.
 *
 * Numbers that JSON cannot hold come back as {"number": "NaN" | "Infinity" | "-Infinity"}.
 */
const readline = require("node:readline");
const jsonLogic = require("json-logic-js");

console.log = () => {}; // the operator `log` writes there, and the answers share the stream

function portable(value) {
  if (typeof value === "number" && !Number.isFinite(value)) return { number: String(value) };
  if (Array.isArray(value)) return value.map(portable);
  return value === undefined ? null : value;
}

function evaluate({ rule, data }) {
  try {
    const result = jsonLogic.apply(rule, data);
    const truthy = jsonLogic.truthy(result);
    return result === undefined ? { undefined: true, truthy } : { result: portable(result), truthy };
  } catch (error) {
    return { error: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
  }
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(evaluate(JSON.parse(line)))}\n`);
  }
}

main();
