/**
 * Sections of the settings file that are named for what they are about, and not for a command. Their keys are those
 * of crawlers' INI files, with `-` or `_`.
 *
 * ```toml
 * [crawler]
 * workers = 8
 * one-file-system = true
 *
 * [postgresql]
 * host = "db.lan"
 * database = "files"
 * password-file = "/etc/filesync/password"
 *
 * [logging]
 * file = "/var/log/filesync.log"
 * level = "warning"
 * ```
 *
 * @module
 */

/** Settings of one section, by the name of the flag. */
export type Section = Record<string, unknown>;

/** For each section, the flag that a key stands for. Keys of `postgresql` without one make up the catalog's URL. */
const SHARED: Record<string, Record<string, string | undefined>> = {
  general: keys("catalog", "host", "json", "quiet", "verbose"),
  crawler: keys(
    ...[
      "catalog",
      "fingerprint",
      "host",
      "ignore",
      "limit",
      "meta",
      "one-file-system",
      "paranoid",
      "shard",
      "workers",
    ],
  ),
  postgresql: {
    "password-file": "password-file",
    ...{ host: undefined, port: undefined, database: undefined, user: undefined, sslmode: undefined },
  },
  logging: { file: "log", level: "log-level" },
};

function keys(...names: string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, name]));
}

/** The names of the sections. */
export const SHARED_SECTIONS: readonly string[] = Object.keys(SHARED);

/** The first key of a section that it cannot have, and those that it can. */
export function unknownKey(name: string, section: Section): { key: string; known: string[] } | undefined {
  const known = Object.keys(SHARED[name]);
  const key = Object.keys(section).find((key) => !known.includes(normal(key)));
  return key === undefined ? undefined : { key, known };
}

/** The flag that a key of a shared section stands for. */
export function flagOfKey(section: string, key: string): string | undefined {
  return SHARED[section]?.[normal(key)];
}

/** Where in the file a setting stands. */
export interface Place {
  /** As it is written. */
  section: string;
  key: string;
}

/** Where a shared section of a file says what a flag is; the last one counts. */
export function sharedPlace(flag: string, file: Record<string, unknown>): Place | undefined {
  return SHARED_SECTIONS.flatMap((name) =>
    Object.keys((file[name] ?? {}) as Section)
      .filter((key) => flagOfKey(name, key) === flag)
      .map((key) => ({ section: `[${name}]`, key }))
  ).at(-1);
}

/** What the shared sections of a file say, by the name of the flag. */
export function sharedSettings(file: Record<string, unknown>): Section {
  const settings: Section = {};
  for (const name of SHARED_SECTIONS) {
    for (const [key, value] of Object.entries((file[name] ?? {}) as Section)) {
      const flag = flagOfKey(name, key);
      if (flag !== undefined) settings[flag] = value;
    }
  }
  const postgresql = file.postgresql as Section | undefined;
  if (postgresql !== undefined && settings.catalog === undefined) settings.catalog = catalogUrl(postgresql);
  return settings;
}

function catalogUrl(section: Section): string {
  const { host = "localhost", port, database = "filesync", user, sslmode } = Object.fromEntries(
    Object.entries(section).map(([key, value]) => [normal(key), String(value)]),
  ) as Record<string, string | undefined>;
  // A socket is named by its directory.
  const isSocket = host.startsWith("/");
  const url = new URL(`postgres://${isSocket ? "localhost" : host}`);
  if (port !== undefined) url.port = port;
  if (user !== undefined) url.username = user;
  url.pathname = `/${database}`;
  if (isSocket) url.searchParams.set("host", host);
  if (sslmode !== undefined) url.searchParams.set("sslmode", sslmode);
  return url.href;
}

function normal(key: string): string {
  return key.toLowerCase().replaceAll("_", "-");
}
