// @ts-self-types="./crypto_timing_safe_equal.d.ts"
export { timingSafeEqual } from "npm:deno-std@1.3.1/crypto/timing_safe_equal.js";
