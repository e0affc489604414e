/** `filesync catalog serve`: a catalog for browsers. @module */
import { ensureDirSync } from "@std/fs";
import { join } from "@std/path";
import { EXIT, type FilesyncError, toFilesyncError } from "../core/errors.ts";
import { listen } from "../server/listen.ts";
import { createPagesApp } from "../server/pages_app.ts";
import { openCatalog } from "./catalog_location.ts";
import { catalogSection } from "./catalog_pages.tsx";
import type { Context, Flag, Invocation } from "./command.ts";
import { isLoopback } from "./destination.ts";
import { aborted, parseListen, reachable, readTls, tokenFor } from "./listening.ts";
import { openPrinter } from "./printer.ts";
import { stateHome } from "./state_home.ts";

/** Beside that of a served tree. */
const DEFAULT_PORT = 7434;

/** The flags that only `serve` has a use for. */
export const CATALOG_SERVE_FLAGS: readonly Flag[] = [
  {
    name: "listen",
    short: "l",
    value: "ADDRESS",
    default: `127.0.0.1:${DEFAULT_PORT}`,
    ownOnly: true,
    description: "serve: listen on host:port; 0.0.0.0 takes every network, port 0 any free port",
  },
  {
    name: "token-file",
    value: "FILE",
    ownOnly: true,
    description: "serve: keep the token in FILE, not in the user's state directory",
  },
  {
    name: "tls-cert",
    value: "FILE",
    ownOnly: true,
    description: "serve: use HTTPS with the certificate chain in FILE (PEM)",
  },
  {
    name: "tls-key",
    value: "FILE",
    ownOnly: true,
    description: "serve: the private key of the certificate (PEM)",
  },
];

/** Shows the catalog until the user interrupts. */
export async function serveCatalog(invocation: Invocation, context: Context): Promise<number> {
  const { clock, version, signal } = context;
  const { hostname, port } = parseListen(invocation.flag("listen")!, DEFAULT_PORT);
  const tls = readTls(invocation);
  await using store = await openCatalog(invocation, context, { readOnly: true });
  using printer = openPrinter(invocation, context);
  const warn = ({ message, hint }: FilesyncError) =>
    printer.report({ type: "notice", level: "warning", message, hint });
  const home = stateHome(context, "--token-file");
  ensureDirSync(home);
  const token = tokenFor(invocation, context, join(home, "catalog-token"));
  const app = createPagesApp({
    name: store.name,
    version,
    clock,
    guard: { token: () => token.now(), readOnly: true, open: isLoopback(hostname) },
    sections: [catalogSection(store, clock)],
    onFailure: (error) => warn(toFilesyncError("show the catalog", error)),
  });
  const listener = listen(app, { hostname, port, clock, tls, onTrouble: warn });
  try {
    printer.report({
      type: "listening",
      url: listener.url,
      directory: store.name,
      dashboard: `${reachable(listener.url)}/`,
      ...(token.isNew && !isLoopback(hostname) ? { token: token.value } : {}),
    });
    await aborted(signal);
  } finally {
    await listener.close();
  }
  return EXIT.interrupted;
}
