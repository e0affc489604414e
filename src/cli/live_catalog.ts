/** The catalog that `filesync watch --catalog` keeps current. @module */
import { pathsOf } from "../core/action.ts";
import { toFilesyncError } from "../core/errors.ts";
import { CrawlPool } from "../crawler/crawl_pool.ts";
import { LiveFeed } from "../crawler/live_feed.ts";
import { scanTree } from "../crawler/scan.ts";
import { ROOT } from "../core/path.ts";
import type { PushEvent } from "../sync/push_event.ts";
import type { Look } from "../sync/inspector.ts";
import { openCatalog } from "./catalog_location.ts";
import type { Context, Invocation } from "./command.ts";
import type { Printer } from "./report.ts";

/** Takes what was pushed into a catalog. */
export interface LiveCatalog extends AsyncDisposable {
  /** Something was pushed. */
  note(event: PushEvent): void;
  /** The watcher saw something at these paths, whether it is pushed or not; anywhere, if there are none. */
  look(looks?: readonly Look[]): void;
}

/**
 * Opens the catalog, scans the source into it while the push begins, and then records what each event is about.
 * Trouble with the catalog is told, and does not stop the push.
 *
 * @param source Real path.
 * @param ignore What the push leaves out beside what rule files name.
 */
export async function openLiveCatalog(
  invocation: Invocation,
  context: Context,
  { source, ignore, printer }: { source: string; ignore: readonly string[]; printer: Printer },
): Promise<LiveCatalog> {
  const { clock, signal } = context;
  await using resources = new AsyncDisposableStack();
  const store = resources.use(await openCatalog(invocation, context));
  const tree = {
    host: Deno.hostname(),
    root: source.replaceAll("\\", "/").replace(/\/$/, ""),
    clock,
    ignore,
  };
  const onError = (error: unknown) => {
    if (signal.aborted) return;
    const { message, hint } = toFilesyncError(`keep the catalog ${store.name} current`, error);
    printer.report({ type: "notice", level: "warning", message, hint });
  };
  const scan = async () => {
    using pool = new CrawlPool();
    await scanTree(store, pool, { ...tree, signal });
  };
  const feed = resources.use(new LiveFeed(store, tree, { ready: scan(), onError }));
  const owned = resources.move();
  return {
    note(event) {
      if (event.type === "applied") pathsOf(event.action).forEach((path) => feed.note(path));
    },
    look(looks = [{ path: ROOT, deep: true }]) {
      for (const { path, deep } of looks) feed.note(path, deep);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
