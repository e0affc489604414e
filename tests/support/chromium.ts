/** A real browser, where there is one. @module */
import { type Browser, chromium } from "playwright-core";

/** Where Chromium may be. */
const PLACES = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/opt/google/chrome/chrome",
];

/** The path of a Chromium; `undefined` when there is none. `CHROMIUM` names another one. */
export function findChromium(): string | undefined {
  const given = Deno.env.get("CHROMIUM");
  return [...given === undefined ? [] : [given], ...PLACES].find(isFile);
}

/** What to do where there is none, for the name of a test that is left out. */
export const NO_CHROMIUM = "left out: no browser; apt-get install -y chromium, or name one with CHROMIUM";

/** A host that is this machine, and that the browser started here takes for one somewhere else. */
export const FAR_HOST = "dashboard.test";

/** Starts one without a window. */
export function launchChromium(executablePath: string): Promise<Browser> {
  // Root is refused a sandbox, and a container has little shared memory.
  const args = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"];
  return chromium.launch({
    executablePath,
    args: [...args, `--host-resolver-rules=MAP ${FAR_HOST} 127.0.0.1`],
  });
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
