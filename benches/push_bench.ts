/** A whole push of a small tree, to a directory and through the HTTP application, first and again. @module */
import { assertEquals } from "@std/assert";
import { systemClock as clock } from "../src/core/clock.ts";
import { createApp } from "../src/server/app.ts";
import { Pusher } from "../src/sync/pusher.ts";
import { SourceState } from "../src/sync/source_state.ts";
import { HttpReceiver } from "../src/transport/http_receiver.ts";
import { LocalReceiver } from "../src/transport/local_receiver.ts";
import type { Receiver } from "../src/transport/receiver.ts";
import { randomBytes } from "../tests/support/bytes.ts";
import { TempDirectory } from "../tests/support/temp.ts";

const FILES = 2_000;
const DIRECTORIES = 100;

/** Lays out a tree of files from 100 bytes to 40 KiB. */
function makeSource(directory: string): void {
  const bytes = randomBytes(1, 1 << 20);
  for (let i = 0; i < FILES; i++) {
    const parent = `${directory}/${i % 10}/${i % DIRECTORIES}`;
    if (i < DIRECTORIES) Deno.mkdirSync(parent, { recursive: true });
    // A part of its own for each file, so that none is another's twin.
    const start = i * 400;
    Deno.writeFileSync(`${parent}/file-${i}`, bytes.subarray(start, start + 100 + (i * 7919) % 40_000));
  }
}

/** The receiver that `local` is, asked through the HTTP application, but not through a socket. */
function overHttp(local: LocalReceiver): Receiver {
  const app = createApp(local, { clock, version: "0", guard: { token: "token" } });
  return new HttpReceiver("http://bench", { token: "token", fetch: (request) => app.fetch(request) });
}

async function push(source: string, stateDirectory: string, receiver: Receiver): Promise<number> {
  using state = new SourceState(stateDirectory, { clock });
  await using pusher = new Pusher({
    source,
    state,
    receiver,
    clock,
    random: Math.random,
    onEvent: () => {},
  });
  await pusher.pushOnce(new AbortController().signal);
  const { put, problems, waiting } = pusher.totals;
  assertEquals({ problems, waiting }, { problems: 0, waiting: 0 });
  return put;
}

/** A new source, its state and an empty destination, all on one disk; removed when the bench ends. */
async function makePair() {
  const temp = new TempDirectory();
  addEventListener("unload", () => temp[Symbol.dispose]());
  const [source, state, destination] = ["source", "state", "destination"].map((name) => temp.directory(name));
  makeSource(source);
  const local = new LocalReceiver(destination, { clock });
  await local.ready;
  return { source, state, local };
}

const ways: Record<string, (local: LocalReceiver) => Receiver> = {
  "to a directory": (local) => local,
  "over HTTP": overHttp,
};
for (const [way, through] of Object.entries(ways)) {
  // Deno runs a bench twice more than it is told.
  Deno.bench(`first push of ${FILES} files ${way}`, { group: "first", n: 1, warmup: 0 }, async (bench) => {
    const { source, state, local } = await makePair();
    bench.start();
    const put = await push(source, state, through(local));
    bench.end();
    assertEquals(put, FILES);
    await local.close();
  });

  let pushed: ReturnType<typeof makePair> | undefined;
  let round = 0;
  Deno.bench(`push of 1 file of ${FILES} ${way}`, { group: "again", n: 10, warmup: 0 }, async (bench) => {
    const { source, state, local } = await (pushed ??= makePair());
    if (round === 0) await push(source, state, through(local));
    Deno.writeTextFileSync(`${source}/0/0/file-0`, `changed ${++round} times`);
    bench.start();
    const put = await push(source, state, through(local));
    bench.end();
    assertEquals(put, 1);
  });
}
