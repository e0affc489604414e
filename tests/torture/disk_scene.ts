/** A directory that is pushed to a server, with every place that is written to on a small disk of its own. @module */
import { encodeHex } from "@std/encoding";
import { createHash } from "node:crypto";
import { integer, randomBytes, seededRandom } from "../support/bytes.ts";
import { until } from "../support/pair.ts";
import {
  type JsonLine,
  Program,
  run,
  type RunningServer,
  startServer,
  startWatch,
} from "../support/program.ts";
import { SmallDisk } from "../support/small_disk.ts";
import { TempDirectory } from "../support/temp.ts";
import { snapshotTree, waitForSameTree } from "../support/trees.ts";

const MiB = 1 << 20;

/** Room on each of the disks, bytes. */
const ROOM = 48 * MiB;

/** Milliseconds that anything may take: it is about what happens, not how fast. */
const PATIENCE_MS = 120_000;

/** The places that are written to. */
export const PLACES = ["destination", "state", "log", "versions"] as const;
export type Place = (typeof PLACES)[number];

/** What a scene may begin with. */
export interface DiskSceneOptions {
  seed: number;
  /** What starts `watch` in place of the program. */
  watchCommand?: string[];
  /** The same for `serve`. */
  serveCommand?: string[];
  /** Whether the source is at another place. */
  source?: string;
  /** Whether the destination is at another place, with its versions. */
  destination?: string;
}

/** See the module's comment. */
export class DiskScene implements AsyncDisposable {
  readonly #cleanup: AsyncDisposableStack;
  readonly #random: () => number;
  readonly source: string;
  readonly destination: string;
  readonly state: string;
  readonly log: string;
  readonly home: string;
  readonly disks: Record<Place, SmallDisk | undefined>;
  /** The contents that ever stood at each path. */
  readonly #contents = new Map<string, Set<string>>();
  #server!: RunningServer;
  #watch!: Program;
  /** Files that were written. */
  changes = 0;

  private constructor(
    cleanup: AsyncDisposableStack,
    temp: TempDirectory,
    disks: Record<Place, SmallDisk | undefined>,
    options: DiskSceneOptions,
  ) {
    this.#cleanup = cleanup;
    this.#random = seededRandom(options.seed);
    this.disks = disks;
    this.home = temp.directory("home");
    this.source = options.source ?? temp.directory("source");
    this.destination = options.destination ?? disks.destination!.path;
    this.state = `${disks.state!.path}/state`;
    this.log = `${disks.log!.path}/filesync.log`;
  }

  /** `undefined` where this user can have no disks. */
  static async start(options: DiskSceneOptions): Promise<DiskScene | undefined> {
    await using cleanup = new AsyncDisposableStack();
    const temp = cleanup.use(new TempDirectory("filesync-disk-scene-"));
    const mounted = (place: Place) => {
      if (options.destination !== undefined && (place === "destination" || place === "versions")) {
        return undefined;
      }
      const disk = SmallDisk.mount(ROOM);
      return disk && cleanup.use(disk);
    };
    const disks = Object.fromEntries(PLACES.map((place) => [place, mounted(place)])) as DiskScene["disks"];
    if (disks.state === undefined) return undefined;
    const scene = new DiskScene(cleanup.move(), temp, disks, options);
    if (disks.versions !== undefined) {
      scene.#bind(disks.versions.path, `${scene.destination}/.filesync/versions`);
    }
    await scene.startServer(options.serveCommand);
    scene.startWatch(options.watchCommand);
    await scene.watch.event("connection", { state: "online" }, PATIENCE_MS);
    return scene;
  }

  get server(): RunningServer {
    return this.#server;
  }

  get watch(): Program {
    return this.#watch;
  }

  async startServer(command?: string[]): Promise<void> {
    const { home } = this;
    const args = ["--keep", "5"];
    this.#server = await startServer(this.destination, { home, port: this.#server?.port, args, command });
  }

  startWatch(command?: string[]): void {
    const { home, state, server: { url, token } } = this;
    this.#watch = startWatch(this.source, url, token, { home, state, command, args: ["--log", this.log] });
  }

  /** Writes `count` files of up to `most` bytes, some of them for the first time. */
  change(count: number, most = 40_000): void {
    for (let i = 0; i < count; i++) {
      const path = `d${integer(this.#random, 4)}/f${integer(this.#random, 60)}`;
      this.write(path, randomBytes(integer(this.#random, 2 ** 31), integer(this.#random, most)));
    }
  }

  write(path: string, content: Uint8Array): void {
    this.note(path, content);
    const [directory] = path.split("/");
    Deno.mkdirSync(`${this.source}/${directory}`, { recursive: true });
    // As editors save: what is read is never half of it.
    Deno.writeFileSync(`${this.source}/.saving`, content);
    Deno.renameSync(`${this.source}/.saving`, `${this.source}/${path}`);
    this.changes++;
  }

  /** Remembers that a content may arrive. */
  note(path: string, content: Uint8Array): void {
    const digest = encodeHex(createHash("sha256").update(content).digest());
    this.#contents.set(path, (this.#contents.get(path) ?? new Set()).add(digest));
  }

  /** Takes all room of a disk but `left` bytes; call what it returns to give it back. */
  fill(place: Place, left = 0): () => void {
    const ballast = `${this.disks[place]!.path}/ballast`;
    using file = Deno.openSync(ballast, { write: true, create: true });
    try {
      for (const piece = new Uint8Array(1 << 16);;) file.writeSync(piece);
    } catch {
      // That was the last of it.
    }
    file.truncateSync(Math.max(0, file.statSync().size - left));
    return () => Deno.removeSync(ballast);
  }

  /** Waits until the push says `what`, with what to do about it. */
  async told(what: RegExp, from = 0): Promise<JsonLine> {
    const isIt = (line: JsonLine) => what.test(line.problem?.message ?? line.message ?? "");
    let found: JsonLine | undefined;
    await until(
      `the push says ${what}\n${this.tail}`,
      () => (found = [...this.watch.json.slice(from), ...this.server.program.json].find(isIt)) !== undefined,
      PATIENCE_MS,
    );
    if ((found!.problem?.hint ?? found!.hint ?? "") === "") {
      throw new Error(`no next step: ${JSON.stringify(found)}`);
    }
    return found!;
  }

  /** Fails when a file at the destination is neither of the contents that it ever had. */
  async assertWhole(): Promise<void> {
    for (const [path, { kind, sha256 }] of await snapshotTree(this.destination)) {
      if (kind !== "file" || path === "ballast" || path === ".saving") continue;
      if (!this.#contents.get(path)?.has(sha256!)) throw new Error(`what stands at "${path}" is torn`);
    }
  }

  /** Waits until the destination is like the source. */
  async inStep(): Promise<void> {
    try {
      await waitForSameTree(this.source, this.destination, PATIENCE_MS, {
        directoryMtime: true,
        ignore: (path) => path === "ballast" || path === "lost+found",
      });
    } catch (error) {
      throw new Error(`${error instanceof Error ? error.message : error}\n${this.tail}`);
    }
    await until(
      `no problem is left\n${this.tail}`,
      async () => (await this.status()).problems.length === 0,
      PATIENCE_MS,
    );
  }

  async status(): Promise<JsonLine> {
    return (await run(["status", "--state", this.state, "--json"], { home: this.home })).json[0];
  }

  /** What `filesync why` says of a path. */
  async why(path: string): Promise<JsonLine> {
    return (await run(["why", `${this.source}/${path}`, "--state", this.state, "--json"], {
      home: this.home,
    })).json[0];
  }

  /** What both sides said last. */
  get tail(): string {
    return [this.watch, this.server.program].map(({ label, stdout, stderr }) =>
      `${label}:\n${
        (stdout + stderr).split("\n").filter((line) => !/"(progress|applied|received|looking)"/.test(line))
          .slice(-15).map((line) => line.slice(0, 400)).join("\n")
      }`
    ).join("\n");
  }

  /** Ends both sides, as Ctrl+C does. */
  async stop(): Promise<void> {
    for (const program of [this.watch, this.server.program]) {
      const { code } = await program.stop();
      if (code !== 130) throw new Error(`${program.label} ended with ${code}\n${this.tail}`);
      if (/^ {4}at |file:\/\/\//m.test(program.stdout + program.stderr)) {
        throw new Error(`a stack was shown\n${this.tail}`);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watch?.[Symbol.asyncDispose]();
    await this.#server?.[Symbol.asyncDispose]();
    await this.#cleanup.disposeAsync();
  }

  #bind(disk: string, path: string): void {
    Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
    Deno.chmodSync(`${this.destination}/.filesync`, 0o700);
    new Deno.Command("mount", { args: ["--bind", disk, path] }).outputSync();
    this.#cleanup.defer(() => void new Deno.Command("umount", { args: ["--lazy", path] }).outputSync());
  }
}
