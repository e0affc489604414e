/** `filesync catalog`: looking after a catalog. @module */
import { EXIT } from "../core/errors.ts";
import type { Store } from "../crawler/store.ts";
import { CATALOG_FLAGS, openCatalog } from "./catalog_location.ts";
import type { CommandBody, Context, Invocation } from "./command.ts";
import { jsonLine } from "./json_printer.ts";
import { visible } from "./quote.ts";
import { didYouMean } from "./suggest.ts";
import { usageError } from "./usage_error.ts";

/** What can be done with a catalog. Opening one makes it and brings it up to date already. */
const ACTIONS: Record<string, { does: string; run: (store: Store) => Promise<void> }> = {
  init: { does: "is ready", run: async () => {} },
  migrate: { does: "is up to date", run: async () => {} },
  vacuum: { does: "is tidied up", run: (store) => store.vacuum() },
};

export const catalogCommand: CommandBody = {
  description:
    "init makes the tables, migrate brings those of an older filesync up to date (a scan does both by itself), vacuum drops what interrupted scans left and gives space back.",
  arguments: [{ name: "action", choices: Object.keys(ACTIONS), description: "init, migrate or vacuum" }],
  flags: [...CATALOG_FLAGS],
  examples: [
    { command: "filesync catalog init --catalog postgres://filesync@db.lan/files", does: "Make the tables" },
    { command: "filesync catalog vacuum", does: "Give space back" },
  ],
  run: lookAfter,
};

async function lookAfter(invocation: Invocation, context: Context): Promise<number> {
  const [name] = invocation.arguments;
  if (!Object.hasOwn(ACTIONS, name)) {
    const names = Object.keys(ACTIONS);
    throw usageError(
      `run filesync catalog ${JSON.stringify(name)}`,
      "there is no such action",
      `${didYouMean(name, names)}Use one of ${names.join(", ")}`,
    );
  }
  await using store = await openCatalog(invocation, context);
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
