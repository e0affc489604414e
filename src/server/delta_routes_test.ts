import { assertEquals } from "@std/assert";
import { packRanges } from "../chunking/byte_range.ts";
import { signatureOf } from "../chunking/signature.ts";
import { decodeFrames, encodeFrames, type Frame, FRAMES_TYPE } from "../core/frames.ts";
import { sha256 } from "../hashing/sha256.ts";
import { type ServedTree, serveTree } from "../../tests/support/subjects.ts";

const CONTENT = new TextEncoder().encode("some content");
const DIGEST = sha256(CONTENT);

async function servedFile(): Promise<ServedTree> {
  const served = await serveTree();
  const response = await served.request("PUT", "/v1/files/f", { body: CONTENT });
  assertEquals(response.status, 200);
  await response.body?.cancel();
  return served;
}

function ask(served: ServedTree, frames: Frame[]): Promise<Response> {
  const headers = { "content-type": FRAMES_TYPE };
  return served.request("POST", "/v1/signatures", { headers, body: encodeFrames(frames) });
}

function askManifests(served: ServedTree, body: unknown): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return served.request("POST", "/v1/manifests", { headers, body: JSON.stringify(body) });
}

async function codeOf(response: Response): Promise<[number, string]> {
  return [response.status, (await response.json()).code];
}

Deno.test("POST /v1/signatures answers with a frame for each request", async () => {
  await using served = await servedFile();
  const content = packRanges([{ start: 0, end: CONTENT.length }]);
  const response = await ask(served, [
    { header: { content: DIGEST, blockSize: 512 }, content },
    { header: { content: "0".repeat(64), blockSize: 512 }, content },
  ]);
  assertEquals([response.status, response.headers.get("content-type")], [200, FRAMES_TYPE]);
  assertEquals(decodeFrames(await response.bytes()), [
    { header: { held: true }, content: signatureOf(CONTENT) },
    { header: { held: false }, content: new Uint8Array() },
  ]);
});

Deno.test("POST /v1/signatures refuses what is malformed", async () => {
  await using served = await servedFile();
  const header = { content: DIGEST, blockSize: 512 };
  const content = packRanges([{ start: 0, end: 12 }]);
  const cases: [Frame, [number, string]][] = [
    [{ header: {}, content }, [400, "bad-request"]],
    [{ header: { ...header, content: "f" }, content }, [400, "bad-request"]],
    [{ header: { ...header, blockSize: 63 }, content }, [400, "bad-request"]],
    [{ header: { ...header, blockSize: 512.5 }, content }, [400, "bad-request"]],
    [{ header, content: content.slice(1) }, [400, "bad-request"]],
    [{ header, content: packRanges([{ start: 0, end: 13 }]) }, [416, "bad-range"]],
    [{ header, content: packRanges([{ start: 0, end: 2 ** 40 }]) }, [413, "too-large"]],
  ];
  for (const [frame, expected] of cases) assertEquals(await codeOf(await ask(served, [frame])), expected);
  assertEquals(served.failures, []);
});

Deno.test("POST /v1/manifests tells groups, chunks of groups, and what is not held", async () => {
  await using served = await servedFile();
  const answer = async (body: unknown) => {
    const response = await askManifests(served, body);
    assertEquals(response.status, 200);
    return decodeFrames(await response.bytes()).map(({ header, content }) => [header, content.length]);
  };
  const told = { held: true, digest: DIGEST, size: CONTENT.length };
  assertEquals(await answer({ digest: DIGEST }), [[told, 9]]);
  assertEquals(await answer({ path: "f" }), [[told, 9]]);
  assertEquals(await answer({ digest: DIGEST, groups: [0, 7] }), [[{ held: true }, 9]]);
  assertEquals(await answer({ path: "g" }), [[{ held: false }, 0]]);
  assertEquals(await answer({ digest: "0".repeat(64), groups: [0] }), [[{ held: false }, 0]]);
});

Deno.test("POST /v1/manifests refuses what is malformed", async () => {
  await using served = await servedFile();
  const bodies = [{}, { digest: "f" }, { path: "../f" }, { digest: DIGEST, groups: [-1] }, {
    digest: DIGEST,
    path: "f",
  }];
  for (const body of bodies) {
    assertEquals(await codeOf(await askManifests(served, body)), [400, "bad-request"], JSON.stringify(body));
  }
});
