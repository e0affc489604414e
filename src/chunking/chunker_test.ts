import { assertEquals, assertThrows } from "@std/assert";
import { FilesyncError } from "../core/errors.ts";
import { chunkingByName, DEFAULT_CHUNKING } from "./chunker.ts";

Deno.test("chunkingByName() knows the default by its stored name", () => {
  assertEquals(chunkingByName("vgear-16k-v1"), DEFAULT_CHUNKING);
});

Deno.test("chunkingByName() refuses an unknown name for good", () => {
  const error = assertThrows(() => chunkingByName("constructor"), FilesyncError, 'by "constructor": ');
  assertEquals([error.code, error.permanent], ["unsupported", true]);
});
