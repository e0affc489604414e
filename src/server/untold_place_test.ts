import { assertEquals } from "@std/assert";
import { serveTree } from "../../tests/support/subjects.ts";
import { FilesyncError } from "../core/errors.ts";
import type { Receiver } from "../transport/receiver.ts";
import { resultWithoutPlace, withoutPlace } from "./untold_place.ts";

Deno.test("withoutPlace() names what is in the directory from there, and the directory itself not at all", () => {
  const told = (message: string, directory?: string) => withoutPlace(message, directory);
  assertEquals(
    told('Cannot write "/srv/a/.filesync/index.db": full', "/srv/a"),
    'Cannot write ".filesync/index.db": full',
  );
  assertEquals(told('Cannot save "/srv/a": full', "/srv/a"), 'Cannot save ".": full');
  const odd = '/srv/"odd"\\';
  assertEquals(told(`Cannot read ${JSON.stringify(`${odd}/x`)}: no`, odd), 'Cannot read "x": no');
  assertEquals(told('Cannot read "/srv/a": no'), 'Cannot read "/srv/a": no');
});

Deno.test("withoutPlace() leaves alone what only contains the directory's name", () => {
  const told = (message: string) => withoutPlace(message, "/data");
  for (
    const message of [
      'Cannot write "old/data/a": full',
      'Cannot write "old/data": full',
      'Cannot read "/database/a": no',
      'Cannot read "/data-2": no',
    ]
  ) assertEquals(told(message), message);
  assertEquals(told("no such file: open '/data/a b'"), "no such file: open 'a b'");
  assertEquals(
    told("rename '/data/a' -> '/data/b' (/data/c), /data, and /data"),
    "rename 'a' -> 'b' (c), ., and .",
  );
  assertEquals(
    told("Cannot load file:///data/a: no. It is in /data."),
    "Cannot load file://a: no. It is in ..",
  );
  assertEquals(withoutPlace('Cannot read "/etc/a" or "b/c": no', "/"), 'Cannot read "etc/a" or "b/c": no');
});

Deno.test("resultWithoutPlace() leaves what was done as it is", () => {
  const done = { before: 1, after: 2, results: [{ done: true as const }] };
  assertEquals(resultWithoutPlace(done, "/srv/a"), done);
  const problem = {
    code: "disk-full" as const,
    path: "x",
    message: 'Cannot write "/srv/a/x": full',
    permanent: false,
  };
  assertEquals(
    resultWithoutPlace({ before: 1, after: 1, results: [{ done: false, problem }] }, "/srv/a").results,
    [
      { done: false, problem: { ...problem, message: 'Cannot write "x": full' } },
    ],
  );
});

Deno.test("createApp() does not tell clients where the tree is", async () => {
  const error = new FilesyncError({
    code: "disk-full",
    operation: 'write "/srv/a/.filesync/index.db"',
    reason: "full",
  });
  const inFront = new Proxy({}, { get: () => () => Promise.reject(error) }) as Receiver;
  await using served = await serveTree({ inFront, place: "/srv/a" });
  for (const [method, path] of [["GET", "/v1/tree"], ["GET", "/v1/entries/a"], ["POST", "/v1/refresh"]]) {
    const text = await (await served.request(method, path)).text();
    assertEquals(
      [text.includes("/srv/"), text.includes('write \\".filesync/index.db\\"')],
      [false, true],
      text,
    );
  }
  assertEquals(served.failures.length > 0, true);
});
