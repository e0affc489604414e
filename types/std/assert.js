// @ts-self-types="./assert.d.ts"
export * from "npm:deno-std@1.3.1/assert/mod.js";
