// @ts-self-types="./encoding.d.ts"
export { decodeBase64, encodeBase64 } from "npm:deno-std@1.3.1/encoding/base64.js";
export { encodeBase64Url } from "npm:deno-std@1.3.1/encoding/base64url.js";
export { decodeHex, encodeHex } from "npm:deno-std@1.3.1/encoding/hex.js";
