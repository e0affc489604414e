// @ts-self-types="./fmt_bytes.d.ts"
export { format } from "npm:deno-std@1.3.1/fmt/bytes.js";
