import { assertEquals } from "@std/assert";
import { fitEnd, widthOf, wrap } from "./text_width.ts";

Deno.test("widthOf() counts columns, not characters", () => {
  assertEquals(["abc", "é", "e\u0301", "日本", "ｆｕ", "🦕", "…", "→"].map(widthOf), [
    3,
    1,
    1,
    4,
    4,
    2,
    1,
    1,
  ]);
});

Deno.test("fitEnd() keeps the end and never takes more room", () => {
  assertEquals(fitEnd("a/b/c.txt", 9), "a/b/c.txt");
  assertEquals(fitEnd("a/b/c.txt", 6), "…c.txt");
  assertEquals(fitEnd("日本語", 4), "…語");
  assertEquals(fitEnd("abc", 1), "…");
  assertEquals(fitEnd("abc", 0), "");
});

Deno.test("wrap() breaks at spaces only", () => {
  assertEquals(wrap("one two three  four", 8), ["one two", "three", "four"]);
  assertEquals(wrap("a incomprehensible b", 5), ["a", "incomprehensible", "b"]);
  assertEquals(wrap("", 5), []);
});
