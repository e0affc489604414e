import { assertEquals, assertThrows } from "@std/assert";
import { tar } from "./tar.ts";
import { withTemp } from "../tests/support/temp.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("tar() makes what the system's tar unpacks", () =>
  withTemp(async (dir) => {
    const archive = tar([
      { name: "filesync-1/filesync", data: bytes("#!/bin/sh\nexit 7\n"), executable: true },
      { name: "filesync-1/empty", data: bytes("") },
      { name: "filesync-1/block", data: new Uint8Array(512).fill(65) },
    ]);
    Deno.writeFileSync(`${dir}/a.tar`, archive);
    const { code, stderr } = await new Deno.Command("tar", { args: ["-xf", "a.tar"], cwd: dir }).output();
    assertEquals([code, new TextDecoder().decode(stderr)], [0, ""]);
    assertEquals((await new Deno.Command(`${dir}/filesync-1/filesync`).output()).code, 7);
    assertEquals(Deno.readTextFileSync(`${dir}/filesync-1/block`), "A".repeat(512));
    assertEquals(Deno.statSync(`${dir}/filesync-1/empty`).size, 0);
    assertEquals(Deno.statSync(`${dir}/filesync-1/empty`).mode! & 0o111, 0);
  }));

Deno.test("tar() refuses a name that has no room", () => {
  assertThrows(() => tar([{ name: "n".repeat(101), data: bytes("") }]), RangeError);
});
