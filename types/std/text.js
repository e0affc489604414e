// @ts-self-types="./text.d.ts"
export { levenshteinDistance } from "npm:deno-std@1.3.1/text/levenshtein_distance.js";
