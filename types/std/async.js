// @ts-self-types="./async.d.ts"
export { deadline } from "npm:deno-std@1.3.1/async/deadline.js";
export { delay } from "npm:deno-std@1.3.1/async/delay.js";
export { pooledMap } from "npm:deno-std@1.3.1/async/pool.js";
