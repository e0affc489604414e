/** Lists of patterns for hosts, as OpenSSH's files have them: ssh_config(5), "PATTERNS". @module */

/**
 * Whether one of `patterns` fits `name`, and none that begins with `!` does. `*` stands for any characters, `?` for
 * one; case does not matter.
 */
export function fitsHost(patterns: readonly string[], name: string): boolean {
  const fits = (pattern: string) => wildcard(pattern).test(name);
  return !patterns.some((pattern) => pattern.startsWith("!") && fits(pattern.slice(1))) &&
    patterns.some(fits);
}

function wildcard(pattern: string): RegExp {
  const source = pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".");
  return new RegExp(`^${source}$`, "i");
}
