// @ts-self-types="./path.d.ts"
export * from "npm:deno-std@1.3.1/path/mod.js";
