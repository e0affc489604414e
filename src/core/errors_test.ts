import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import fs from "node:fs";
import { TempDirectory } from "../../tests/support/temp.ts";
import {
  ERROR_CODES,
  type ErrorCode,
  FilesyncError,
  nextStep,
  osCode,
  PathError,
  toFilesyncError,
} from "./errors.ts";

Deno.test("FilesyncError says what could not be done, and why", () => {
  const cause = new Error("x");
  const error = new FilesyncError({ code: "io", operation: 'write "a"', reason: "it broke", cause });
  assertEquals(error.message, 'Cannot write "a": it broke');
  assertEquals([error.name, error.permanent, error.hint, error.retryAfter, error.cause], [
    "FilesyncError",
    false,
    undefined,
    undefined,
    cause,
  ]);
});

Deno.test("PathError shows a path on one line, and not all of a long one", () => {
  assertEquals(
    new PathError("a\nb", "no").message,
    'Cannot use the path "a\\nb": no',
  );
  assertEquals(
    new PathError("x".repeat(10_000), "no").message.length,
    'Cannot use the path "": no'.length + 200,
  );
});

/** Makes something throw what the system throws. */
function thrownBy(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
}

Deno.test("toFilesyncError() knows what Deno and node:fs throw alike", () => {
  using temp = new TempDirectory();
  Deno.writeTextFileSync(`${temp.path}/file`, "");
  Deno.mkdirSync(`${temp.path}/full/x`, { recursive: true });
  const cases: [string, string, () => unknown, () => unknown][] = [
    [
      "ENOENT",
      "not-found",
      () => Deno.readFileSync(`${temp.path}/none`),
      () => fs.readFileSync(`${temp.path}/none`),
    ],
    [
      "ENOTDIR",
      "conflict",
      () => Deno.readFileSync(`${temp.path}/file/below`),
      () => fs.readFileSync(`${temp.path}/file/below`),
    ],
    [
      "EEXIST",
      "conflict",
      () => Deno.mkdirSync(`${temp.path}/file`),
      () => fs.mkdirSync(`${temp.path}/file`),
    ],
    [
      "ENOTEMPTY",
      "conflict",
      () => Deno.removeSync(`${temp.path}/full`),
      () => fs.rmdirSync(`${temp.path}/full`),
    ],
  ];
  for (const [name, code, ...acts] of cases) {
    for (const act of acts) {
      const error = thrownBy(act);
      assertEquals(osCode(error), name);
      const known = toFilesyncError('do "it"', error);
      assertEquals([known.code, known.operation, known.cause], [code as typeof known.code, 'do "it"', error]);
      assertEquals(known.reason.includes("os error"), false, "in words of ours");
    }
  }
});

Deno.test("toFilesyncError() passes its own on, and says of others what they say", () => {
  const own = new FilesyncError({ code: "brake", operation: "go on", reason: "x" });
  assertStrictEquals(toFilesyncError("other", own), own);
  for (const [thrown, reason] of [[new Error("odd"), "odd"], ["text", "text"], [undefined, "undefined"]]) {
    const { code, message, permanent } = toFilesyncError("do it", thrown);
    assertEquals([code, message, permanent], ["io", `Cannot do it: ${reason}`, false]);
  }
  assertEquals(osCode("text"), undefined);
  const full = Object.assign(new Error("x"), { code: "ENOSPC" });
  assertEquals(toFilesyncError("write", full).code, "disk-full");
});

Deno.test("nextStep() knows a step for every code, and gives an error's own first", () => {
  assert(ERROR_CODES.length >= 24);
  for (const code of ERROR_CODES) {
    assertMatch(nextStep({ code }), /^[A-Z`].{10,}[^.]$/, code);
    assertEquals(nextStep({ code, hint: "Do this" }), "Do this");
  }
  assertMatch(nextStep({ code: "of the future" as ErrorCode }), /--debug/);
});

Deno.test("every error that is thrown anywhere says what, why and what to do: in the words of the source", async () => {
  const root = new URL("../", import.meta.url);
  let sites = 0;
  const files = async function* (directory: URL): AsyncGenerator<URL> {
    for await (const { name, isDirectory } of Deno.readDir(directory)) {
      if (isDirectory) yield* files(new URL(`${name}/`, directory));
      else if (name.endsWith(".ts") && !name.endsWith("_test.ts")) yield new URL(name, directory);
    }
  };
  for await (const file of files(root)) {
    const source = await Deno.readTextFile(file);
    for (const [, details] of source.matchAll(/new FilesyncError\(\{([^]*?)\n\s*\}\)/g)) {
      sites++;
      if (details.includes("...")) continue;
      for (const field of ["code", "operation", "reason"]) {
        assertMatch(details, new RegExp(`\\b${field}\\b`), `${file.pathname}: ${details}`);
      }
      for (const [, text] of details.matchAll(/(?:operation|reason|hint): "([^"]*)"/g)) {
        assert(!text.endsWith("."), `no full stop at the end: ${text}`);
      }
    }
  }
  assert(sites > 50, String(sites));
});
