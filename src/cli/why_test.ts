import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { Home, jsonLines } from "../../tests/support/run_command.ts";
import { file, makeTree } from "../../tests/support/trees.ts";
import { systemClock } from "../core/clock.ts";
import { EXIT, FilesyncError, toFilesyncError } from "../core/errors.ts";
import type { TreePath } from "../core/path.ts";
import { problemOf } from "../core/problem.ts";
import { createApp } from "../server/app.ts";
import { listen } from "../server/listen.ts";
import { SourceState } from "../sync/source_state.ts";
import { LocalReceiver } from "../transport/local_receiver.ts";
import { faultIn } from "./json_schemas.ts";

const OLD = Date.UTC(2020, 0, 1);

/** A pair that was pushed once, with one of everything. */
class Case implements Disposable {
  readonly home = new Home();
  readonly source = makeTree(this.home.directory("source"), {
    "a.txt": file("12", { mtime: OLD }),
    "x.tmp": "t",
    d: { ".filesyncignore": "secret\n", secret: "s", open: file("o", { mtime: OLD }) },
    ".filesyncignore": "*.tmp\n",
  });
  readonly state = `${this.home.path}/state`;

  static async pushed(): Promise<Case> {
    const test = new Case();
    const to = test.home.directory("destination");
    const { code, err } = await test.home.run(
      "watch",
      test.source,
      "--to",
      to,
      "--state",
      test.state,
      "--once",
      "-q",
    );
    assertEquals([code, err], [EXIT.done, ""]);
    return test;
  }

  /** The verdict and the reason. */
  async why(path: string): Promise<{ code: number; verdict: string; reason: string; next?: string }> {
    const args = ["why", `${this.source}/${path}`, "--state", this.state];
    const { code, out, err } = await this.home.run(...args, "--json");
    assertEquals(err, "");
    const [{ verdict, reason, next }] = jsonLines(out) as Record<string, string>[];
    // Text says the same.
    const text = await this.home.run(...args);
    assertStringIncludes(text.out, `: ${verdict}\n`);
    assertEquals(text.code, code);
    return { code, verdict, reason, ...(next === undefined ? {} : { next }) };
  }

  [Symbol.dispose](): void {
    this.home[Symbol.dispose]();
  }
}

Deno.test("why tells that all is well", async () => {
  using test = await Case.pushed();
  const { code, verdict, reason } = await test.why("a.txt");
  assertEquals([code, verdict], [EXIT.done, "in step"]);
  assertMatch(reason, /^The receiver has it; last looked at .* ago$/);
  assertEquals((await test.why("d")).verdict, "in step");
});

Deno.test("why names the rule that leaves a path out", async () => {
  using test = await Case.pushed();
  assertEquals(await test.why("x.tmp"), {
    code: EXIT.done,
    verdict: "ignored",
    reason: 'The pattern "*.tmp" in .filesyncignore leaves it out',
    next: "Change .filesyncignore",
  });
  assertEquals((await test.why("d/secret")).next, "Change d/.filesyncignore");
});

Deno.test("why tells what nobody has noticed yet", async () => {
  using test = await Case.pushed();
  makeTree(test.source, { new: "n", "a.txt": "changed" });
  Deno.removeSync(`${test.source}/d/open`);
  const next = `Start it: filesync watch ${test.source} --to ${test.home.path}/destination`;
  assertEquals(await test.why("new"), {
    code: EXIT.done,
    verdict: "not seen",
    reason: "It has not been looked at yet, or is left out by --ignore",
    next,
  });
  assertEquals(await test.why("a.txt"), {
    code: EXIT.done,
    verdict: "waiting",
    reason: "It changed since it was pushed, and that has not been noticed yet",
    next,
  });
  assertEquals((await test.why("d/open")).reason, "It was removed, and that has not been noticed yet");
  assertEquals(await test.why("never"), {
    code: EXIT.done,
    verdict: "gone",
    reason: "It does not exist, and nothing is known of it",
  });
});

Deno.test("why tells what waits, and for what", async () => {
  using test = await Case.pushed();
  const context = test.home.context();
  {
    using state = new SourceState(test.state, context);
    state.queue.add([{ action: { type: "remove", path: "a.txt" as TreePath } }]);
    state.index.setMeta("connection", JSON.stringify({ state: "online" }));
  }
  assertEquals((await test.why("a.txt")).reason, "Its remove waits in the queue of 1");
  using state = new SourceState(test.state, context);
  state.index.setMeta("connection", JSON.stringify({ state: "offline", detail: "connection refused" }));
  const { verdict, reason, next } = await test.why("a.txt");
  assertEquals(verdict, "waiting");
  assertMatch(next!, /filesync doctor --to .*\/destination$/);
  assertEquals(
    reason,
    "The receiver is out of reach (connection refused); its remove waits in the queue of 1",
  );
});

Deno.test("why tells what went wrong, and when it is tried again", async () => {
  using test = await Case.pushed();
  const context = test.home.context();
  using state = new SourceState(test.state, context);
  const { queue } = state;
  for (const path of ["later", "failed"]) queue.add([{ action: { type: "remove", path: path as TreePath } }]);
  const [later, failed] = queue.take({ items: 2, bytes: 0 });
  const problem = { code: "disk-full" as const, message: "Cannot remove it: full", hint: "Make room" };
  queue.retry([later.id], { ...problem, permanent: false, retryAfter: 600_000 });
  queue.fail(failed.id, { ...problem, permanent: true });
  state.addProblem({ code: "permission", path: "a.txt", message: "Cannot read it: no", permanent: false }, 1);

  const why = await test.why("later");
  assertEquals([why.code, why.verdict, why.next], [EXIT.problems, "problem", "Make room"]);
  assertMatch(why.reason, /^Cannot remove it: full; tried 1 times, next try in \d+m/);
  assertEquals(await test.why("failed"), {
    code: EXIT.problems,
    verdict: "problem",
    reason: "Cannot remove it: full; it is tried again when the file changes",
    next: "Make room",
  });
  assertEquals(await test.why("a.txt"), {
    code: EXIT.problems,
    verdict: "problem",
    reason: "Cannot read it: no",
    next: "Give the user that runs filesync access to it",
  });
});

Deno.test("why finds a path by any way to it, and takes a link as it is", async () => {
  using test = await Case.pushed();
  Deno.symlinkSync(test.source, `${test.home.path}/way`);
  Deno.symlinkSync("a.txt", `${test.source}/link`);
  const { out } = await test.home.run("why", `${test.home.path}/way/link`, "--state", test.state);
  assertMatch(out, /source\/link → .*: not seen/);
});

Deno.test("why refuses a path that nobody watches", async () => {
  using test = await Case.pushed();
  for (const path of [test.home.path, `${test.source}-other/a`]) {
    const { code, err } = await test.home.run("why", path, "--state", test.state);
    assertEquals(code, EXIT.usage);
    assertMatch(
      err,
      /it lies in no directory that is watched from here\n {2}See the watched directories with/,
    );
  }
});

Deno.test("why tells of a directory that cannot be read what it tells of all below it", async () => {
  using test = await Case.pushed();
  {
    using state = new SourceState(test.state, test.home.context());
    const problem = {
      code: "permission" as const,
      path: "d",
      message: 'Cannot list "d": no',
      permanent: false,
    };
    state.addProblem(problem, 1);
  }
  const { code, verdict, reason } = await test.why("d/open");
  assertEquals([code, verdict, reason], [EXIT.problems, "problem", 'Cannot list "d": no']);
  assertEquals((await test.why("a.txt")).verdict, "in step");
});

Deno.test("why tells what can never be pushed: names, kinds and what is ours", async () => {
  using test = await Case.pushed();
  const problem = async (path: string) => {
    const { code, verdict, reason, next } = await test.why(path);
    assertEquals([code, verdict], [EXIT.problems, "problem"], path);
    assert(next !== undefined && next !== "", path);
    return reason;
  };
  assertMatch(await problem(".filesync/token"), /reserved for the program's own state/);
  assertMatch(await problem("x".repeat(300)), /longer than 255 bytes/);
  assertMatch(await problem("bad\ufffdname"), /not valid Unicode/);
  if (Deno.build.os === "windows") return;
  await new Deno.Command("mkfifo", { args: [`${test.source}/pipe`] }).output();
  assertMatch(await problem("pipe"), /a socket, a pipe or a device/);
});

Deno.test("why tells of what stands at the destination only, and of removals that are held back", async () => {
  using test = await Case.pushed();
  {
    using state = new SourceState(test.state, test.home.context());
    state.setForeign(["theirs" as TreePath]);
    state.index.setMeta("brake", "the source is empty");
  }
  const foreign = await test.why("theirs");
  assertEquals([foreign.code, foreign.verdict], [EXIT.done, "foreign"]);
  assertMatch(foreign.next!, /--delete/);
  Deno.removeSync(`${test.source}/a.txt`);
  const braked = await test.why("a.txt");
  assertEquals(braked.reason, "It was removed here, but removals are held back: the source is empty");
  assertMatch(braked.next!, /--allow-mass-delete/);
});

Deno.test("why tells of what the receiver could not do, and what to do there", async () => {
  using test = await Case.pushed();
  const causes: [error: unknown, reason: RegExp, next: RegExp][] = [
    [failed("ENAMETOOLONG"), /^Cannot put "x": the name is too long for this file system/, /^Rename it/],
    [failed("EACCES"), /permission denied/, /Give the user that runs filesync access/],
    [failed("EROFS"), /the file system is read-only/, /Mount it writable/],
    [failed("ENOSPC"), /the disk is full/, /Free some space/],
    [failed("EIO"), /the disk reports an error/, /Check the disk/],
    [failed("EMFILE"), /too many files are open/, /ulimit -n/],
    [
      new FilesyncError({
        code: "bad-path",
        operation: 'put "x"',
        reason: 'here it is the same name as "X"',
      }),
      /the same name as "X"/,
      /^Rename it/,
    ],
  ];
  for (const [error, reason, next] of causes) {
    {
      using state = new SourceState(test.state, test.home.context());
      state.queue.add([{ action: { type: "remove", path: "x" as TreePath } }]);
      state.queue.retry(
        state.queue.take({ items: 1, bytes: 0 }).map(({ id }) => id),
        problemOf(toFilesyncError('put "x"', error), "x"),
      );
    }
    const why = await test.why("x");
    assertEquals([why.code, why.verdict], [EXIT.problems, "problem"]);
    assertMatch(why.reason, reason);
    assertMatch(why.next!, next);
    using state = new SourceState(test.state, test.home.context());
    state.queue.done(state.queue.pending().map(({ id }) => id));
  }
});

Deno.test("why sends who asks for a watched directory to status", async () => {
  using test = await Case.pushed();
  const { code, err } = await test.home.run("why", test.source, "--state", test.state);
  assertEquals(code, EXIT.usage);
  assertMatch(err, /it is a watched directory itself\n {2}Name what is in it, .*: filesync status /);
});

Deno.test("why finds what is gone with the directory that it was in, also through a link", async () => {
  using test = await Case.pushed();
  Deno.removeSync(`${test.source}/d`, { recursive: true });
  const link = `${test.home.path}/link`;
  Deno.symlinkSync(test.source, link);
  const { err, out } = await test.home.run("why", `${link}/d/open`, "--state", test.state);
  assertEquals(err, "");
  assertStringIncludes(out, "It was removed, and that has not been noticed yet");
});

Deno.test("why tells of what could not be read, whatever the reason was", async () => {
  using test = await Case.pushed();
  for (const code of ["EACCES", "EIO", "EMFILE", "ENAMETOOLONG", "EXDEV"]) {
    const problem = problemOf(toFilesyncError('read "a.txt"', failed(code)), "a.txt");
    {
      using state = new SourceState(test.state, test.home.context());
      state.addProblem({ ...problem, path: "a.txt" }, 1);
    }
    const { verdict, reason, next } = await test.why("a.txt");
    assertEquals([verdict, reason], ["problem", problem.message]);
    assert(next !== undefined && next.length > 10, code);
  }
});

Deno.test("why tells that a file is still being written", async () => {
  using test = await Case.pushed();
  using _running = new SourceState(test.state, test.home.context());
  makeTree(test.source, { new: "n", "a.txt": "changed" });
  // The clock of a file system has its own mind of what is now.
  const context = test.home.context({ clock: new FakeClock(systemClock.now() + 500) });
  for (const path of ["new", "a.txt"]) {
    const { code } = await test.home.runIn(context, "why", `${test.source}/${path}`, "--state", test.state);
    assertEquals(code, EXIT.done);
  }
  const { printed } = context;
  assertEquals(
    printed.match(/waiting\n {2}It changed a moment ago, and is pushed as soon as it stands still/g)?.length,
    2,
  );
  // Long after that it should have been noticed.
  const later = test.home.context({ clock: new FakeClock(systemClock.now() + 60_000) });
  await test.home.runIn(later, "why", `${test.source}/new`, "--state", test.state);
  assertStringIncludes(later.printed, "It has not been looked at yet");
});

Deno.test("why tells that the token is refused, and which one to take", async () => {
  using test = await Case.pushed();
  await using receiver = new LocalReceiver(test.home.directory("served"), { clock: systemClock });
  await receiver.ready;
  const app = createApp(receiver, { clock: systemClock, version: "0", guard: { token: "secret" } });
  const listener = listen(app, { hostname: "127.0.0.1", port: 0, clock: systemClock });
  const state = `${test.home.path}/refused`;
  const pushed = await test.home.run("watch", test.source, "--to", listener.url, "--state", state, "--once");
  // What JSON tells of it is as described.
  const told = jsonLines((await test.home.run("status", "--state", state, "--json")).out);
  assertEquals(told.map((line) => faultIn(line, "status")), [undefined]);
  await listener.close();
  assertEquals(pushed.code, EXIT.unreachable);
  const { code, out } = await test.home.run("why", `${test.source}/a.txt`, "--state", state);
  assertEquals(code, EXIT.problems);
  assertStringIncludes(out, "The receiver refused the push: no token came with it");
  assertMatch(out, /\n {2}Take the token that `filesync serve` printed/);
});

/** What a system call throws. */
function failed(code: string): Error {
  return Object.assign(new Error(code), { code });
}
