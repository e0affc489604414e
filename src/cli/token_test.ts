import { assertEquals, assertThrows } from "@std/assert";
import { fakeContext } from "../../tests/support/command_line.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import { FilesyncError } from "../core/errors.ts";
import type { Invocation } from "./command.ts";
import { readToken } from "./token.ts";

function token(file?: string, variable?: string): string | undefined {
  const invocation = { flag: (name: string) => name === "token-file" ? file : undefined } as Invocation;
  return readToken(invocation, fakeContext({ environment: () => variable }));
}

Deno.test("readToken() takes the file before the variable", () => {
  using temp = new TempDirectory();
  const path = `${temp.path}/token`;
  Deno.writeTextFileSync(path, "  from-file\n");
  assertEquals(token(path, "from-variable"), "from-file");
  assertEquals(token(undefined, "from-variable"), "from-variable");
  assertEquals(token(undefined, ""), undefined);
  assertEquals(token(), undefined);
});

Deno.test("readToken() refuses a file that is missing or empty", () => {
  using temp = new TempDirectory();
  const path = `${temp.path}/token`;
  assertEquals(
    assertThrows(() => token(path), FilesyncError).message,
    `Cannot read the token in "${path}": it does not exist`,
  );
  Deno.writeTextFileSync(path, " \n");
  const { message, hint } = assertThrows(() => token(path, "t"), FilesyncError);
  assertEquals([message, hint], [
    `Cannot use the token in "${path}": the file is empty`,
    "Put the token into it that `filesync serve` printed",
  ]);
});
