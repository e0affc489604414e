import { assert, assertEquals, assertMatch, assertNotEquals, assertThrows } from "@std/assert";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import { FilesyncError } from "../core/errors.ts";
import { followToken, readOrMakeToken } from "./token_file.ts";

function refusal(path: string): FilesyncError {
  return assertThrows(() => readOrMakeToken(path), FilesyncError) as FilesyncError;
}

Deno.test("readOrMakeToken() makes a token once, for its owner only", () => {
  using temp = new TempDirectory();
  const path = `${temp.path}/token`;
  const made = readOrMakeToken(path);
  assertEquals(made.isNew, true);
  // 24 bytes, in characters that need no quotes and no encoding.
  assertMatch(made.value, /^[A-Za-z0-9_-]{32}$/);
  if (Deno.build.os !== "windows") assertEquals(Deno.statSync(path).mode! & 0o777, 0o600);
  assertEquals(readOrMakeToken(path), { value: made.value, isNew: false });
  assertNotEquals(readOrMakeToken(`${temp.path}/other`).value, made.value);
});

Deno.test("readOrMakeToken() reads a token that somebody wrote, without the white space around", () => {
  using temp = new TempDirectory();
  const path = `${temp.path}/token`;
  Deno.writeTextFileSync(path, "  my own secret \r\n", { mode: 0o600 });
  assertEquals(readOrMakeToken(path), { value: "my own secret", isNew: false });
  Deno.chmodSync(path, 0o400);
  assertEquals(readOrMakeToken(path).value, "my own secret");
});

Deno.test("readOrMakeToken() refuses a file that others can read, and says what to do", () => {
  if (Deno.build.os === "windows") return;
  using temp = new TempDirectory();
  const path = `${temp.path}/token`;
  Deno.writeTextFileSync(path, "secret\n");
  for (const mode of [0o644, 0o640, 0o604, 0o620, 0o601]) {
    Deno.chmodSync(path, mode);
    const { code, permanent, hint, message } = refusal(path);
    assertEquals([code, permanent, hint], ["permission", true, `Run: chmod 600 "${path}"`], mode.toString(8));
    assert(!message.includes("secret"));
  }
});

Deno.test("readOrMakeToken() refuses an empty file, rather than let everybody in", () => {
  using temp = new TempDirectory();
  for (const content of ["", "\n", " \t\r\n"]) {
    const path = `${temp.path}/token`;
    Deno.writeTextFileSync(path, content, { mode: 0o600 });
    assertEquals([refusal(path).code, refusal(path).permanent], ["usage", true]);
    assertEquals(Deno.readTextFileSync(path), content, "it was not written over");
  }
});

Deno.test("readOrMakeToken() says why there can be no token", () => {
  using temp = new TempDirectory();
  assertEquals(refusal(temp.path).code, "conflict");
  assertEquals(refusal(`${temp.path}/no/such/directory`).code, "not-found");
});

Deno.test("followToken() gives the token that stands there now, and none while it cannot be used", async () => {
  using temp = new TempDirectory();
  const path = `${temp.path}/token`;
  const clock = new FakeClock();
  const write = (text: string) => Deno.writeTextFileSync(path, text, { mode: 0o600 });
  write("first");
  const token = followToken(path, clock);
  assertEquals(token(), "first");
  write("second");
  await clock.advance(1_000);
  assertEquals(token(), "second");
  if (Deno.build.os !== "windows") {
    Deno.chmodSync(path, 0o644);
    await clock.advance(1_000);
    assertEquals(token(), undefined, "others can read it");
  }
  Deno.removeSync(path);
  await clock.advance(1_000);
  assertEquals(token(), undefined);
  write("third");
  await clock.advance(1_000);
  assertEquals(token(), "third");
});

Deno.test("followToken() does not take a token for wrong because no file can be opened", () => {
  let trouble: string | undefined;
  const read = () => {
    if (trouble !== undefined) throw Object.assign(new Error(trouble), { code: trouble });
    return "right";
  };
  const token = followToken("token", new FakeClock(), read);
  for (trouble of ["EMFILE", "ENFILE", "EIO"]) {
    for (let i = 0; i < 2; i++) {
      const { code, permanent } = assertThrows(
        token,
        FilesyncError,
        "Cannot read the token: ",
      ) as FilesyncError;
      assertEquals([code, permanent], ["io", false]);
    }
  }
  trouble = undefined;
  assertEquals(token(), "right");
});
