/** `filesync catalog`: looking after a catalog. @module */
import { EXIT } from "../core/errors.ts";
import type { Store } from "../crawler/store.ts";
import { CATALOG_FLAGS, openCatalog } from "./catalog_location.ts";
import { CATALOG_SERVE_FLAGS, serveCatalog } from "./catalog_serve.ts";
import { type CommandBody, type Context, type Invocation, LOG_FLAGS } from "./command.ts";
import { jsonLine } from "./json_printer.ts";
import { visible } from "./quote.ts";
import { anyOf, didYouMean } from "./suggest.ts";
import { usageError } from "./usage_error.ts";

/** What can be done with a catalog at once. Opening one makes it and brings it up to date already. */
const ACTIONS: Record<string, { does: string; run: (store: Store) => Promise<void> }> = {
  init: { does: "is ready", run: async () => {} },
  migrate: { does: "is up to date", run: async () => {} },
  vacuum: { does: "is tidied up", run: (store) => store.vacuum() },
};

export const catalogCommand: CommandBody = {
  description:
    "init makes the tables, migrate brings those of an older filesync up to date (a scan does both by itself), vacuum drops what interrupted scans left and gives space back.\n\n" +
    "serve shows it to browsers until Ctrl+C: growth over time, changes by day, and what takes the space, down to the last directory. On other addresses than the loopback one it wants a token, which is made and printed at the first start.",
  arguments: [
    {
      name: "action",
      choices: [...Object.keys(ACTIONS), "serve"],
      description: "init, migrate, vacuum or serve",
    },
  ],
  flags: [...CATALOG_FLAGS, ...CATALOG_SERVE_FLAGS, ...LOG_FLAGS],
  examples: [
    { command: "filesync catalog init --catalog postgres://filesync@db.lan/files", does: "Make the tables" },
    { command: "filesync catalog vacuum", does: "Give space back" },
    { command: "filesync catalog serve", does: "Show it to browsers of this machine" },
  ],
  run: lookAfter,
};

async function lookAfter(invocation: Invocation, context: Context): Promise<number> {
  const [name] = invocation.arguments;
  if (name === "serve") return await serveCatalog(invocation, context);
  if (!Object.hasOwn(ACTIONS, name)) {
    const names = [...Object.keys(ACTIONS), "serve"];
    throw usageError(
      `run filesync catalog ${JSON.stringify(name)}`,
      "there is no such action",
      `${didYouMean(name, names)}Write ${anyOf(names)}`,
    );
  }
  await using store = await openCatalog(invocation, context, { existing: name !== "init" });
  await ACTIONS[name].run(store);
  context.stdout.write(
    invocation.has("json")
      ? jsonLine(
        context.clock.now(),
        { type: "catalog", action: name, catalog: store.name } as { type: string },
      )
      : `The catalog ${visible(store.name)} ${ACTIONS[name].does}\n`,
  );
  return EXIT.done;
}
