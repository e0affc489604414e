/** Requests that nobody should send. @module */
import { constants, zstdCompressSync } from "node:zlib";
import { encodeFrames, type Frame, FRAMES_TYPE } from "../../src/core/frames.ts";
import { SESSION_HEADER } from "../../src/core/wire.ts";
import { sha256 } from "../../src/hashing/sha256.ts";
import type { picker } from "./attack.ts";
import { encodings, EVIL_ENCODED, EVIL_PATHS } from "./evil_paths.ts";

/** A route of the application; `*` and `:name` stand for what is asked for. */
export interface Route {
  method: string;
  path: string;
}

/** A request as it goes out. */
export interface Shot extends Route {
  headers: Record<string, string>;
  body?: Uint8Array<ArrayBuffer> | string;
}

type Pick = ReturnType<typeof picker>;

const DATA = new TextEncoder().encode("attack");
const DIGEST = sha256(DATA);

/** Every evil path on every route that takes one, in its address or its body. */
export function everyEvilRequest(routes: Route[]): Shot[] {
  const addresses = [...EVIL_ENCODED, ...EVIL_PATHS.flatMap(encodings)];
  const shots = routes.flatMap(({ method, path }) =>
    addresses.map((address): Shot => ({
      method,
      path: /[*:]/.test(path) ? at(path, address) : `${path}/${address}`,
      headers: { "content-type": "application/json" },
      body: '{"target":"x"}',
    }))
  );
  for (const path of EVIL_PATHS) {
    const actions = [
      { type: "put", path, size: DATA.length, mtime: 0, mode: 0o644, digest: DIGEST },
      { type: "directory", path, mtime: 0, mode: 0o755 },
      { type: "symlink", path, mtime: 0, target: "../../canary/planted" },
      { type: "symlink", path: "planted", mtime: 0, target: path },
      { type: "remove", path },
      { type: "move", path, from: "f" },
      { type: "move", path: "g", from: path },
    ];
    for (const action of actions) {
      const header = { key: crypto.randomUUID(), actions: [action] };
      shots.push({
        method: "POST",
        path: "/v1/batch",
        headers: { "content-type": FRAMES_TYPE },
        body: encodeFrames([{ header, content: new Uint8Array() }, {
          header: { digest: DIGEST },
          content: DATA,
        }]),
      });
    }
    const bodies = [
      ["/v1/move", { from: path, to: "h" }],
      ["/v1/move", { from: "f", to: path }],
      ["/v1/manifests", { path }],
    ] as const;
    for (const [route, body] of bodies) {
      const headers = { "content-type": "application/json" };
      shots.push({ method: "POST", path: route, headers, body: JSON.stringify(body) });
    }
    const under = path.isWellFormed() ? encodeURIComponent(path) : "%ed%a0%80";
    for (const query of ["history?under", "history?touching", "tree?under"]) {
      shots.push({ method: "GET", path: `/v1/${query}=${under}`, headers: {} });
    }
  }
  return shots;
}

/** A request at random, more or less malformed. */
export function randomRequest(routes: Route[], pick: Pick): Shot {
  const { one, chance } = pick;
  const { method, path } = one(routes);
  const isFramed = /check|chunks|batch|signatures|pieces/.test(path);
  const value = one(["-1", "1e309", "0", "", "%00", "9".repeat(400), "[]"]);
  const name = one(["under", "touching", "before", "limit", "mtime", "mode", "__proto__"]);
  return {
    method: chance(0.95) ? method : one(["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "HEAD"]),
    path: at(path, chance(0.5) ? one(["a", "f", "a/b/c", "new", DIGEST]) : one(EVIL_ENCODED)) +
      (chance(0.2) ? `?${name}=${value}` : ""),
    headers: randomHeaders(pick, isFramed),
    body: chance(0.1) ? undefined : chance(isFramed ? 0.8 : 0.1) ? randomFrames(pick) : randomJson(pick),
  };
}

function at(path: string, address: string): string {
  return path.replace(/[*:].*/, () => address);
}

function randomHeaders({ one, chance }: Pick, isFramed: boolean): Record<string, string> {
  const wrong = ["", "text/html", "multipart/form-data", `${FRAMES_TYPE};x=y`, "a".repeat(5_000)];
  const right = isFramed ? FRAMES_TYPE : "application/json";
  const headers: Record<string, string> = { "content-type": chance(0.9) ? right : one(wrong) };
  const other: [name: string, values: string[]][] = [
    ["content-encoding", ["zstd", "ZSTD", "gzip", "identity", "zstd, zstd", "x"]],
    ["range", ["bytes=0-", "bytes=-1", "bytes=5-1", "bytes=0-0,1-1", `bytes=${"0-1,".repeat(2_000)}`]],
    ["range", ["bytes=-99999999999999999999", "bytes=99999999999999999999-", "bytes=a-b", "lines=1-2"]],
    ["content-digest", ["sha-256=:AAAA:", "sha-256=", ":", "md5=:AAAA:", "a=:AA==:,".repeat(1_000)]],
    ["repr-digest", ["sha-256=:!!!!:", `sha-256=:${"A".repeat(43)}=:`]],
    [SESSION_HEADER, ["x", "../..", "a".repeat(10_000), "__proto__"]],
    ["content-length", ["0", "-1", "99999999999", "abc"]],
  ];
  for (const [name, values] of other) if (chance(0.1)) headers[name] = one(values);
  return headers;
}

const NUMBERS = [0, -1, 1, 0.5, 1e308, 2 ** 53, 2 ** 31, 2 ** 32 - 1, -0, 8.64e15 + 1, 0o7777];
const NAMES = ["key", "actions", "type", "path", "from", "to", "digest", "size", "mtime", "mode", "target"]
  .concat("groups", "protocol", "client", "version", "content", "blockSize", "chunked", "delta", "__proto__");

function randomValue(pick: Pick, depth = 0): unknown {
  const { one, below, chance } = pick;
  if (depth > 4 || chance(0.5)) {
    const path = one(EVIL_PATHS).slice(0, 1_000);
    return one<unknown>([null, true, "", path, one(NUMBERS), "a".repeat(below(300)), DIGEST]);
  }
  if (chance(0.4)) return Array.from({ length: below(5) }, () => randomValue(pick, depth + 1));
  return Object.fromEntries(
    Array.from({ length: below(6) }, () => [one(NAMES), randomValue(pick, depth + 1)]),
  );
}

function randomAction(pick: Pick): unknown {
  const { one, chance } = pick;
  const path = () => chance(0.6) ? one(["a", "f", "a/b", "new/deep/file"]) : one(EVIL_PATHS);
  const number = (usual: number) => chance(0.7) ? usual : one(NUMBERS);
  return {
    type: chance(0.95) ? one(["put", "directory", "symlink", "remove", "move"]) : randomValue(pick),
    path: path(),
    from: path(),
    target: path(),
    size: number(DATA.length),
    mtime: number(0),
    mode: number(0o644),
    digest: chance(0.9) ? DIGEST : randomValue(pick),
  };
}

function randomJson(pick: Pick): string {
  const { one, chance, below } = pick;
  // So deep that a parser that calls itself runs out of stack.
  if (chance(0.03)) return one(["[", '{"a":', "[{]", '[[],"', '{"":{']).repeat(1 + below(100_000));
  if (chance(0.03)) return `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
  if (chance(0.03)) return `{"from":"a","from":"../canary","to":"b","protocol":1,"protocol":${one(NUMBERS)}}`;
  if (chance(0.03)) return one(["", "null", "1", '"x"', "\ufeff{}", "NaN", "{'a':1}", "\0"]);
  return JSON.stringify(randomValue(pick));
}

function randomFrames(pick: Pick): Uint8Array<ArrayBuffer> {
  const { one, chance, below } = pick;
  if (chance(0.02)) return zstdBomb();
  const frames = Array.from({ length: below(6) }, (_, i): Frame => ({
    header: chance(0.2) ? randomValue(pick) : i === 0 && chance(0.6)
      ? {
        // Some keys come again and again, with other actions.
        key: chance(0.3) ? one(["the same key", "another key"]) : crypto.randomUUID(),
        actions: Array.from({ length: chance(0.02) ? 3_000 : below(5) }, () => randomAction(pick)),
      }
      : {
        ...{ digest: DIGEST, content: DIGEST, chunked: chance(0.5), delta: chance(0.3) },
        ...{ size: one([DATA.length, ...NUMBERS]), blockSize: one([512, ...NUMBERS]) },
      },
    content: chance(0.5) ? DATA : crypto.getRandomValues(new Uint8Array(below(200))),
  }));
  const body = encodeFrames(frames);
  if (chance(0.1) && body.length > 4) {
    new DataView(body.buffer).setUint32(0, one([0xffffffff, 0x7fffffff, 33 << 20]), true);
  }
  if (chance(0.3) && body.length > 0) {
    for (let i = below(8); i >= 0; i--) body[below(body.length)] ^= 1 << below(8);
  }
  if (chance(0.15)) return body.slice(0, below(body.length + 1));
  return chance(0.2) ? new Uint8Array(zstdCompressSync(body)) : body;
}

let bomb: Uint8Array<ArrayBuffer> | undefined;

/** 2 GiB of nothing, in less than 200 kB. */
export function zstdBomb(): Uint8Array<ArrayBuffer> {
  if (bomb === undefined) {
    const params = { [constants.ZSTD_c_compressionLevel]: 19 };
    const block = zstdCompressSync(new Uint8Array(64 << 20), { params });
    // Frames of Zstandard may follow one another (RFC 8878, 3).
    bomb = new Uint8Array(32 * block.length);
    for (let i = 0; i < 32; i++) bomb.set(block, i * block.length);
  }
  return bomb;
}
