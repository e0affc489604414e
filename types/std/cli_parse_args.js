// @ts-self-types="./cli_parse_args.d.ts"
export { parseArgs } from "npm:deno-std@1.3.1/cli/parse_args.js";
