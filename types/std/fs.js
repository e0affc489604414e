// @ts-self-types="./fs.d.ts"
export { copy } from "npm:deno-std@1.3.1/fs/copy.js";
export { emptyDir } from "npm:deno-std@1.3.1/fs/empty_dir.js";
export { ensureDir, ensureDirSync } from "npm:deno-std@1.3.1/fs/ensure_dir.js";
export { exists, existsSync } from "npm:deno-std@1.3.1/fs/exists.js";
export { walk, walkSync } from "npm:deno-std@1.3.1/fs/walk.js";
