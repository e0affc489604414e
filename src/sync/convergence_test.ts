/**
 * Whatever happens to a source, to the receiver and on the way between them: once it is over, both
 * hold the same. Random histories are played against a real file system, a real state and a real
 * {@linkcode LocalReceiver}; only time is hurried, and calls are made to fail.
 *
 * `FILESYNC_TEST_RUNS` and `FILESYNC_TEST_SEED` play more or other histories, `FILESYNC_TEST_DIR` elsewhere.
 */
import { lutimesSync } from "node:fs";
import { dirname } from "@std/path";
import fc from "fast-check";
import { HastyClock } from "../../tests/support/hasty_clock.ts";
import { type Fault, InterceptedReceiver, withFault } from "../../tests/support/intercepted_receiver.ts";
import { actionText, SourceBench } from "../../tests/support/source_bench.ts";
import { snapshotTree, treeDifferences } from "../../tests/support/trees.ts";
import { systemClock } from "../core/clock.ts";
import { Mutex } from "../core/mutex.ts";
import type { TreePath } from "../core/path.ts";
import { LocalReceiver } from "../transport/local_receiver.ts";
import { Sender } from "./sender.ts";

/** Memory, where there is a disk of it: a thousand times as fast to save. */
const PLACE = Deno.env.get("FILESYNC_TEST_DIR") ?? (exists("/dev/shm") ? "/dev/shm" : undefined);

/** One change of a tree. Names are few, so that changes meet. */
type Change =
  | { do: "write"; path: string; content: number }
  | { do: "replace"; path: string; content: number }
  | { do: "append"; path: string }
  | { do: "mkdir"; path: string }
  | { do: "remove"; path: string }
  | { do: "rename"; path: string; to: string }
  | { do: "supplant"; path: string; to: string }
  | { do: "swap"; path: string; to: string }
  | { do: "backup"; path: string; to: string }
  | { do: "link"; path: string; to: string }
  | { do: "hardlink"; path: string; to: string }
  | { do: "chmod"; path: string; mode: number }
  | { do: "touch"; path: string };

/** One step of a history. */
type Step =
  | { step: "change"; change: Change }
  | { step: "look"; paths: string[]; deep: boolean }
  | { step: "look at all" }
  | { step: "send"; faults: (Fault | "none")[]; meanwhile: Record<number, Change>; crashAt?: number }
  | { step: "restart"; what: "source" | "receiver" }
  | { step: "meddle"; change: Change };

const path = fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 3 }).map((names) =>
  names.join("/")
);
const content = fc.integer({ min: 0, max: 6 });
const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant("write" as const), path, content }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("replace" as const), path, content }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("append", "touch", "remove" as const), path }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("mkdir", "remove" as const), path }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("rename" as const), path, to: path }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom("supplant" as const, "swap" as const, "backup" as const),
      path,
      to: path,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("link" as const), path, to: path }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("hardlink" as const), path, to: path }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("chmod" as const), path, mode: fc.constantFrom(0o755, 0o700) }),
  },
);
const fault = fc.oneof(
  { weight: 5, arbitrary: fc.constant("none" as const) },
  {
    weight: 2,
    arbitrary: fc.constantFrom<Fault>("lost", "answer-lost", "answer-lost", "refused", "disk-full"),
  },
);
const send = fc.record({
  step: fc.constant("send" as const),
  faults: fc.array(fault, { maxLength: 8 }),
  meanwhile: fc.dictionary(fc.integer({ min: 0, max: 6 }).map(String), change, { maxKeys: 2 }),
}, { requiredKeys: ["step", "faults", "meanwhile"] });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ step: fc.constant("change" as const), change }) },
  {
    weight: 4,
    arbitrary: fc.record({
      step: fc.constant("look" as const),
      paths: fc.array(path, { minLength: 1, maxLength: 3 }),
      deep: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ step: "look at all" as const }) },
  { weight: 4, arbitrary: send },
  {
    weight: 1,
    arbitrary: fc.tuple(send, fc.integer({ min: 0, max: 6 })).map(([step, crashAt]) => ({
      ...step,
      crashAt,
    })),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      step: fc.constant("restart" as const),
      what: fc.constantFrom("source" as const, "receiver" as const),
    }),
  },
);
const meddling: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: step },
  { weight: 1, arbitrary: fc.record({ step: fc.constant("meddle" as const), change }) },
);

/** Makes changes, each with a modification time of its own. */
class Editor {
  /** Every path that was changed, and what is above it: where a watcher would look. */
  readonly touched = new Set(["new", "swap"]);
  #time = Date.UTC(2020, 0, 1);
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  /** Makes a change, as far as it can be made. */
  make(change: Change): void {
    const paths = [change.path, "to" in change ? change.to : change.path];
    this.#touch(paths);
    try {
      this.#make(change, `${this.#root}/${change.path}`, "to" in change ? `${this.#root}/${change.to}` : "");
    } catch (error) {
      // Such as a directory that is moved into itself.
      if (!(error instanceof Error)) throw error;
    }
    this.#touch(paths);
  }

  /** Notes where changes at `paths` happen: what goes through a link happens where it leads. */
  #touch(paths: readonly string[]): void {
    for (let path of paths) {
      for (; path !== "."; path = dirname(path)) {
        this.touched.add(path);
        const real = realPath(`${this.#root}/${path}`);
        if (real?.startsWith(`${this.#root}/`)) this.touched.add(real.slice(this.#root.length + 1));
      }
    }
  }

  #make(change: Change, path: string, to: string): void {
    switch (change.do) {
      case "write":
        return this.#write(path, change.content);
      case "replace":
        this.#write(`${this.#root}/new`, change.content);
        return this.#supplant(`${this.#root}/new`, path);
      case "append":
        return Deno.writeTextFileSync(path, `+${this.#time++}`, { append: true, create: false });
      case "mkdir":
        return Deno.mkdirSync(path, { recursive: true });
      case "remove":
        return Deno.removeSync(path, { recursive: true });
      case "rename":
        Deno.mkdirSync(dirname(to), { recursive: true });
        return Deno.renameSync(path, to);
      case "supplant":
        return this.#supplant(path, to);
      case "swap":
        Deno.renameSync(path, `${this.#root}/swap`);
        try {
          Deno.renameSync(to, path);
        } finally {
          this.#supplant(`${this.#root}/swap`, to);
        }
        return;
      case "backup":
        // The copy has the time and the content of the original, which goes elsewhere.
        Deno.lstatSync(path);
        this.#supplant(path, to);
        if (exists(path)) return;
        new Deno.Command("cp", { args: ["-rp", to, path] }).outputSync();
        return;
      case "link":
        Deno.mkdirSync(dirname(path), { recursive: true });
        return Deno.symlinkSync(change.to, path);
      case "hardlink":
        Deno.mkdirSync(dirname(to), { recursive: true });
        return Deno.linkSync(path, to);
      case "chmod":
        if (Deno.lstatSync(path).isSymlink) return;
        return Deno.chmodSync(path, change.mode);
      case "touch":
        return lutimesSync(path, this.#time / 1_000, this.#time++ / 1_000);
    }
  }

  /** Content 0 is nothing, 1 to 4 are small and have the same size, 5 and 6 are several chunks that share most. */
  #write(path: string, content: number): void {
    const text = content < 5 ? "x".repeat(Math.min(content, 1)) + content : bigText(content);
    Deno.mkdirSync(dirname(path), { recursive: true });
    Deno.writeTextFileSync(path, content === 0 ? "" : text);
  }

  /** Puts what is at `path` in place of whatever is at `to`. */
  #supplant(path: string, to: string): void {
    if (`${to}/`.startsWith(`${path}/`) || `${path}/`.startsWith(`${to}/`)) return;
    Deno.mkdirSync(dirname(to), { recursive: true });
    Deno.lstatSync(path);
    if (exists(to)) Deno.removeSync(to, { recursive: true });
    Deno.renameSync(path, to);
  }
}

const BIG = new Uint8Array(150_000).map((_, i) => 97 + (i * i * 31 + (i >> 7) * 7919) % 26);

function bigText(content: number): string {
  return new TextDecoder().decode(BIG) + content;
}

function realPath(path: string): string | undefined {
  try {
    return Deno.realPathSync(path);
  } catch {
    return undefined;
  }
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** A source, a receiver, and what was told of the way between them. */
class History implements AsyncDisposable {
  readonly #directory = Deno.makeTempDirSync({ dir: PLACE });
  readonly #clock = new HastyClock();
  readonly #deleteExtra: boolean;
  readonly #editor = new Editor(`${this.#directory}/source`);
  readonly #meddler = new Editor(`${this.#directory}/destination`);
  #bench: SourceBench;
  #receiver: LocalReceiver;
  #meddled = false;
  #faulted = false;

  constructor(deleteExtra: boolean) {
    this.#deleteExtra = deleteExtra;
    for (const name of ["source", "destination"]) Deno.mkdirSync(`${this.#directory}/${name}`);
    this.#bench = this.#openBench();
    this.#receiver = this.#openReceiver();
  }

  async play(step: Step): Promise<void> {
    switch (step.step) {
      case "change":
        return this.#editor.make(step.change);
      case "look": {
        const looks = step.paths.map((path) => ({ path: path as TreePath, deep: step.deep }));
        return void await this.#bench.inspector.look(looks);
      }
      case "look at all":
        return void await this.#bench.inspector.lookAtAll();
      case "send":
        return await this.#send(step);
      case "restart":
        return await this.#restart(step.what);
      case "meddle":
        this.#meddled = true;
        return this.#meddler.make(step.change);
    }
  }

  /** Looks, sends until nothing is left to do, and gives what differs then. */
  async end(look: "everything" | "touched"): Promise<string[]> {
    if (this.#meddled) await this.#restart("receiver");
    // Again, because a file that changed while it was read is left for later.
    for (let round = 0; round < 3; round++) {
      if (look === "everything") await this.#bench.inspector.lookAtAll();
      else await this.#bench.look(...this.#editor.touched);
    }
    await this.#send({ faults: [], meanwhile: {} });
    const { queue } = this.#bench.state;
    const left = [...queue.pending(), ...queue.failed()]
      .map(({ action, error }) => `left in the queue: ${actionText(action)}: ${error?.message}`);
    return [
      ...left,
      ...treeDifferences(
        await snapshotTree(`${this.#directory}/source`),
        await snapshotTree(`${this.#directory}/destination`),
        { directoryMtime: true, symlinkMtime: true },
      ),
      // What is right in the end, and only because everything was sent anew, is not right.
      ...(this.#meddled || this.#faulted ? [] : this.#wronglyForeign()),
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#bench[Symbol.dispose]();
    await this.#receiver.close();
    Deno.removeSync(this.#directory, { recursive: true });
  }

  #wronglyForeign(): string[] {
    return this.#bench.state.index.sql("SELECT path FROM foreign_paths").all()
      .map((row) => `taken for foreign: ${row.path}`);
  }

  /** Runs a sender until nothing is left to do, or it crashes. */
  async #send(
    { faults, meanwhile, crashAt = Infinity }: Omit<Step & { step: "send" }, "step">,
  ): Promise<void> {
    const { state, inspector, root } = this.#bench;
    const looking = new Mutex();
    const stop = new AbortController();
    let looks = 0;
    let underWay: Promise<unknown> | undefined;
    let crashed = false;
    const never = new Promise<never>(() => {});
    const receiver = new InterceptedReceiver(this.#receiver, async (call, forward) => {
      // What a dead process still calls is too late for changes that shall be looked at.
      const change = crashed ? undefined : meanwhile[call.number];
      if (call.number >= crashAt) crashed = true;
      if (change !== undefined) this.#editor.make(change);
      const fault = faults[call.number] ?? "none";
      if (fault !== "none") this.#faulted = true;
      if (crashed && fault !== "answer-lost") return await never;
      // A call that is under way when the process dies is still done, and nobody hears of it.
      const answer = await (fault === "none" ? forward() : withFault(fault, call, forward));
      return crashed ? await never : answer;
    });
    const lookAgain = (path: TreePath) => {
      looks++;
      const look = async () => {
        if (!crashed) await (underWay = inspector.look([{ path, deep: false }]));
      };
      looking.run(look).finally(() => looks--);
    };
    const sender = new Sender({
      receiver,
      root: () => root,
      state,
      clock: this.#clock,
      random: () => 0.5,
      looking,
      lookAgain,
      onEvent: () => {},
      deleteExtra: this.#deleteExtra,
      allowMassDelete: true,
    });
    const running = sender.run(stop.signal);
    for (let idle = 0, turns = 0; idle < 4 && !crashed; turns++) {
      await Promise.race([turn(), running]);
      if (turns > 3_000) throw new Error(`It never comes to rest: ${this.#bench.queued}`);
      const busy = sender.isBusy(Infinity) || this.#clock.sleepers > 0 || looks > 0;
      idle = busy ? 0 : idle + 1;
    }
    if (crashed) {
      this.#faulted = true;
      await underWay;
      return await this.#restart("source");
    }
    stop.abort();
    await running;
  }

  async #restart(what: "source" | "receiver"): Promise<void> {
    if (what === "source") {
      this.#bench[Symbol.dispose]();
      this.#bench = this.#openBench();
    } else {
      await this.#receiver.close();
      this.#receiver = this.#openReceiver();
      await this.#receiver.ready;
    }
  }

  #openBench(): SourceBench {
    return new SourceBench(`${this.#directory}/source`, `${this.#directory}/state`, {
      clock: this.#clock,
      allowMassDelete: true,
    });
  }

  #openReceiver(): LocalReceiver {
    return new LocalReceiver(`${this.#directory}/destination`, { clock: systemClock });
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** Plays histories that are made of steps like `step`. */
async function converges(
  step: fc.Arbitrary<Step>,
  { runs, deleteExtra = false, look = "everything" }: {
    runs: number;
    deleteExtra?: boolean;
    look?: "everything" | "touched";
  },
): Promise<void> {
  const histories = fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 25 }), async (steps) => {
    await using history = new History(deleteExtra);
    for (const step of steps) await history.play(step);
    const differences = await history.end(look);
    if (differences.length > 0) throw new Error(differences.join("\n"));
  });
  const seed = Deno.env.get("FILESYNC_TEST_SEED");
  await fc.assert(histories, {
    numRuns: Number(Deno.env.get("FILESYNC_TEST_RUNS") ?? runs),
    ...(seed === undefined ? {} : { seed: Number(seed) }),
  });
}

Deno.test("a push makes the receiver equal to the source, whatever happened on the way", async () => {
  await converges(step, { runs: 120 });
});

Deno.test("a push needs no look at everything, if it is told of every path that changed", async () => {
  await converges(step, { runs: 80, look: "touched" });
});

Deno.test("a push with deleteExtra makes the receiver equal, even if others changed it", async () => {
  await converges(meddling, { runs: 80, deleteExtra: true });
});
