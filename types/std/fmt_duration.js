// @ts-self-types="./fmt_duration.d.ts"
export { format } from "npm:deno-std@1.3.1/fmt/duration.js";
