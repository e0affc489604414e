// @ts-self-types="./testing_snapshot.d.ts"
export { assertSnapshot } from "npm:deno-std@1.3.1/testing/snapshot.js";
