/**
 * A user's `~/.ssh/config`, as far as it names the way to a host: `HostName`, `Port`, `User` and `IdentityFile`.
 * Format: ssh_config(5). What is below `Match` is passed over, and so are all other keywords, `Include` among them.
 *
 * @module
 */
import { fitsHost } from "./host_patterns.ts";

/** What the file says of a host. */
export interface HostConfig {
  /** The name or address to connect to. */
  hostName?: string;
  port?: number;
  user?: string;
  /** As they are written, see {@linkcode identityPath}; none at all when the file says so. */
  identityFiles?: string[];
}

/** What `text`, the content of a file, says of `host`, as it was named by who asked. Of each setting the first counts. */
export function hostConfig(text: string, host: string): HostConfig {
  const found: HostConfig = {};
  let isMeant = true;
  for (const line of text.split("\n")) {
    const [keyword = "", ...values] = wordsOf(line);
    const [value] = values;
    switch (keyword.toLowerCase()) {
      case "host":
        isMeant = fitsHost(values, host);
        continue;
      case "match":
        isMeant = false;
        continue;
    }
    if (!isMeant || value === undefined) continue;
    switch (keyword.toLowerCase()) {
      case "hostname":
        found.hostName ??= expand(value, { h: host });
        break;
      case "port":
        found.port ??= portIn(value);
        break;
      case "user":
        found.user ??= value;
        break;
      case "identityfile":
        // Of this one all count.
        found.identityFiles ??= [];
        if (value.toLowerCase() !== "none") found.identityFiles.push(value);
    }
  }
  return found;
}

/** The path that an `IdentityFile` means. `tokens` are what stands for `%d`, `%h` and others. */
export function identityPath(written: string, home: string, tokens: Record<string, string>): string {
  return expand(written.replace(/^~(?=\/|$)/, () => home), { d: home, ...tokens });
}

/** The keyword of a line and its arguments: in quotes, or up to the next space; `=` may follow the keyword. */
function wordsOf(line: string): string[] {
  const [, keyword, rest] = /^(\w+)(?:\s*=\s*|\s+|$)(.*)$/.exec(line.trim()) ?? [];
  if (keyword === undefined) return [];
  const words = [keyword];
  for (const [word, quoted] of rest.matchAll(/"([^"]*)"|[^\s"]+/g)) {
    if (word.startsWith("#")) break;
    words.push(quoted ?? word);
  }
  return words;
}

/** Tokens that mean nothing here stay as they are. */
function expand(text: string, tokens: Record<string, string>): string {
  return text.replace(/%(.)/g, (token, name) => name === "%" ? "%" : tokens[name] ?? token);
}

function portIn(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port > 0 && port < 65_536 ? port : undefined;
}
