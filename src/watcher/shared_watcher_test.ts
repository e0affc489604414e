import { assertEquals } from "@std/assert";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { parsePath, type TreePath } from "../core/path.ts";
import { Outbox } from "./outbox.ts";
import { shareWatchers } from "./shared_watcher.ts";
import type { Watch, WatcherOptions, WatchEvent } from "./watcher.ts";

const [a, b] = ["a", "b"].map(parsePath);

/** Watchers that say what the test wants. */
class Stage {
  readonly opened: { root: string; options: WatcherOptions; outbox: Outbox; closed: boolean }[] = [];
  readonly revisited: TreePath[] = [];
  readonly open = shareWatchers((root, options) => {
    const watcher = { root, options, outbox: new Outbox(), closed: false };
    this.opened.push(watcher);
    return {
      ready: Promise.resolve(),
      events: (signal) => watcher.outbox.events(signal),
      revisit: (path) => void this.revisited.push(path),
      [Symbol.asyncDispose]() {
        watcher.closed = true;
        watcher.outbox.close();
        return Promise.resolve();
      },
    };
  });

  join(options: Partial<WatcherOptions> = {}, root = "/root"): Watch {
    return this.open(root, { clock: new FakeClock(), stateDirectory: "/state", ...options });
  }
}

async function next(watch: Watch): Promise<WatchEvent | undefined> {
  for await (const event of watch.events()) return event;
}

function dirty(...paths: TreePath[]): WatchEvent {
  return { type: "dirty", looks: paths.map((path) => ({ path, deep: false })) };
}

Deno.test("shareWatchers() tells every consumer all there is, each at its own pace", async () => {
  const stage = new Stage();
  await using first = stage.join();
  await using second = stage.join();
  assertEquals(stage.opened.length, 1);
  const [{ outbox }] = stage.opened;
  outbox.dirty(a);
  assertEquals(await next(first), dirty(a));
  outbox.dirty(b);
  assertEquals(await next(first), dirty(b));
  assertEquals(await next(second), dirty(a, b));
  outbox.rescan("why not");
  for (const watch of [first, second]) assertEquals(await next(watch), { type: "rescan", reason: "why not" });
});

Deno.test("shareWatchers() forgets what waits of a root that was lost", async () => {
  const stage = new Stage();
  await using first = stage.join();
  await using second = stage.join();
  const [{ outbox }] = stage.opened;
  outbox.dirty(a);
  await next(first);
  outbox.notice({ type: "root-lost", reason: "gone" });
  for (const watch of [first, second]) assertEquals((await next(watch))?.type, "root-lost");
  outbox.notice({ type: "root-found" });
  assertEquals((await next(second))?.type, "root-found");
});

Deno.test("shareWatchers() turns more paths than a consumer takes into one look at everything", async () => {
  const stage = new Stage();
  await using patient = stage.join();
  await using slow = stage.join({ maxPaths: 1 });
  const [{ outbox }] = stage.opened;
  outbox.dirty(a);
  outbox.dirty(b);
  assertEquals(await next(patient), dirty(a, b));
  assertEquals((await next(slow))?.type, "rescan");
});

Deno.test("shareWatchers() leaves out only what nobody wants to hear of", async () => {
  const stage = new Stage();
  const ignoring = (ignored: TreePath) => stage.join({ ignores: (path) => path === ignored });
  const first = ignoring(a);
  const { ignores } = stage.opened[0].options;
  assertEquals([ignores!(a, false), ignores!(b, false)], [true, false]);
  const second = ignoring(b);
  assertEquals([ignores!(a, false), ignores!(b, false)], [false, false]);
  await first[Symbol.asyncDispose]();
  assertEquals([ignores!(a, false), ignores!(b, false)], [false, true]);
  await second[Symbol.asyncDispose]();
});

Deno.test("shareWatchers() closes a watcher with its last consumer, and opens another one later", async () => {
  const stage = new Stage();
  const first = stage.join();
  const second = stage.join();
  first.revisit(a);
  await first[Symbol.asyncDispose]();
  assertEquals(await next(first), undefined);
  second.revisit(b);
  assertEquals([stage.revisited, stage.opened[0].closed], [[a, b], false]);
  // Once more is not another one who leaves.
  await first[Symbol.asyncDispose]();
  assertEquals(stage.opened[0].closed, false);
  await second[Symbol.asyncDispose]();
  assertEquals(stage.opened[0].closed, true);
  await using _third = stage.join();
  await using _other = stage.join({}, "/other");
  assertEquals(stage.opened.map(({ root, closed }) => [root, closed]), [
    ["/root", true],
    ["/root", false],
    ["/other", false],
  ]);
});
