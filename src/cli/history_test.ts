import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Home, jsonLines } from "../../tests/support/run_command.ts";
import { makeTree } from "../../tests/support/trees.ts";
import { systemClock as clock } from "../core/clock.ts";
import { EXIT } from "../core/errors.ts";
import { createApp } from "../server/app.ts";
import { listen } from "../server/listen.ts";
import { LocalReceiver } from "../transport/local_receiver.ts";

/** A directory to which a file was put, renamed, and another put below a directory. */
async function changed(home: Home): Promise<string> {
  const source = makeTree(home.directory("source"), { a: "12" });
  const destination = home.directory("destination");
  const push = () => home.run("watch", source, "--to", destination, "--once", "-q");
  await push();
  Deno.renameSync(`${source}/a`, `${source}/b c`);
  await push();
  makeTree(source, { "d/e": "345" });
  await push();
  return destination;
}

Deno.test("history shows what changed in a directory, newest first", async () => {
  using home = new Home();
  const { code, out, err } = await home.run("history", await changed(home));
  assertEquals([code, err], [EXIT.done, ""]);
  const lines = out.trimEnd().split("\n").map((line) => line.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/, "TIME"));
  assertEquals(lines.slice(2), [
    "      2  TIME  move        a → b c",
    "      1  TIME  put         a  2 B",
  ]);
  assertEquals(lines.slice(0, 2).map((line) => line.slice(9)).toSorted(), [
    "TIME  directory   d",
    "TIME  put         d/e  3 B",
  ]);
});

Deno.test("history narrows down to a part", async () => {
  using home = new Home();
  const directory = await changed(home);
  const records = async (...args: string[]) =>
    jsonLines((await home.run("history", directory, "--json", ...args)).out).map(({ sequence }) => sequence);
  assertEquals(await records(), [4, 3, 2, 1]);
  assertEquals(await records("-n", "2"), [4, 3]);
  assertEquals(await records("--before", "3"), [2, 1]);
  assertEquals(await records("--under", "a"), [2, 1]);
  assertEquals((await records("--under", "d/")).length, 2);
  assertEquals(await records("--under", "nothing"), []);
  const [move] = jsonLines((await home.run("history", directory, "--json", "--before", "3", "-n", "1")).out);
  assertEquals([move.type, move.what, move.from, move.path], ["change", "move", "a", "b c"]);
  assertMatch(`${move.time}`, /^\d{4}-\d\d-\d\dT/);
});

Deno.test("history asks a server, with the token that it takes", async () => {
  using home = new Home();
  const directory = await changed(home);
  await using receiver = new LocalReceiver(directory, { clock });
  await receiver.ready;
  const app = createApp(receiver, { clock, version: "0", guard: { token: "secret" } });
  const listener = listen(app, { hostname: "127.0.0.1", port: 0, clock });
  const refused = await home.run("history", listener.url);
  home.environment.FILESYNC_TOKEN = "secret";
  const { code, out } = await home.run("history", listener.url, "--json");
  await listener.close();
  assertEquals(refused.code, EXIT.unreachable);
  assertEquals([code, jsonLines(out).length], [EXIT.done, 4]);
});

Deno.test("history explains what it cannot do", async () => {
  using home = new Home();
  const never = home.directory("never");
  const outcomes: [string[], number, string][] = [
    [[never], EXIT.usage, "it was never served"],
    [[never, "-n", "0"], EXIT.usage, "--number"],
    [[never, "-n", "x"], EXIT.usage, "--number"],
    [[never, "--before=-1"], EXIT.usage, "--before"],
    [[never, "--under", "../x"], EXIT.usage, "../x"],
    [["127.0.0.1:1"], EXIT.unreachable, "127.0.0.1:1"],
  ];
  for (const [args, code, text] of outcomes) {
    const outcome = await home.run("history", ...args);
    assertStringIncludes(outcome.err, text);
    assertEquals([outcome.code, outcome.out], [code, ""], args.join(" "));
  }
});
