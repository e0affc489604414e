import { assertEquals } from "@std/assert";
import { anyOf, didYouMean, suggest } from "./suggest.ts";

const COMMANDS = ["serve", "watch", "sync", "restore", "versions", "status", "scan"];

Deno.test("suggest() finds the word behind a slip of the fingers", () => {
  assertEquals(suggest("wacth", COMMANDS), "watch");
  assertEquals(suggest("serv", COMMANDS), "serve");
  assertEquals(suggest("Status", COMMANDS), "status");
  assertEquals(suggest("snyc", COMMANDS), "sync");
});

Deno.test("suggest() completes the beginning of a word", () => {
  assertEquals(suggest("vers", COMMANDS), "versions");
  assertEquals(suggest("re", ["restore", "report"]), "report");
});

Deno.test("suggest() says nothing when nothing is near", () => {
  assertEquals(suggest("frobnicate", COMMANDS), undefined);
  assertEquals(suggest("", COMMANDS), undefined);
  assertEquals(suggest("x", COMMANDS), undefined);
});

Deno.test("didYouMean() is a sentence that another can follow", () => {
  assertEquals(didYouMean("limt", ["limit", "log"], "--"), "Did you mean --limit? ");
  assertEquals(didYouMean("zzz", ["limit", "log"], "--"), "");
});

Deno.test("anyOf() reads as people write it", () => {
  assertEquals([["a"], ["a", "b"], ["a", "b", "c"]].map(anyOf), ["a", "a or b", "a, b or c"]);
});
