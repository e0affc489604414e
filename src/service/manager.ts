/**
 * What a system that runs services is asked. {@linkcode ServiceSpec} says what shall run, a
 * {@linkcode ServiceManager} how that is told to systemd, launchd or Windows: as {@linkcode Installation},
 * files and commands, so that it can be shown as well as done.
 *
 * @module
 */

/** Who runs a service: the system from its start, or the session of one user. */
export type ServiceScope = "system" | "user";

/** A service. All paths are absolute. */
export interface ServiceSpec {
  /** Such as `filesync-watch-photos`. */
  name: string;
  /** One line. */
  description: string;
  /** Path of the program. */
  executable: string;
  /** Its arguments. */
  args: readonly string[];
  scope: ServiceScope;
  /** The file or directory whose owner it works for. @default {the first argument of the command} */
  belongsTo?: string;
  /** Account it runs as, in the system's scope. @default {root} */
  account?: string;
  /** What it must be able to write. */
  writes: readonly string[];
  /** What it must be able to read. */
  reads: readonly string[];
  /** Directory of its own, which the service manager makes where it can. */
  state?: string;
  /** Whether it reads its settings again at SIGHUP, which ends others. @default {false} */
  reloads?: boolean;
  /** Whether it listens on a port below 1024. @default {false} */
  privilegedPort?: boolean;
  /** The file its token is kept in, and the token when it shall be written there. */
  token?: { path: string; value?: string };
  /** The file it logs to, where the service manager keeps no log. */
  log?: string;
}

/** A file that belongs to a service. */
export interface ServiceFile {
  path: string;
  text: string;
  /** @default {0o644} */
  mode?: number;
}

/** A command and its arguments. */
export type Words = readonly string[];

/** What brings a service to the system. Doing it again changes nothing. */
export interface Installation {
  files: ServiceFile[];
  /** Directories to make. */
  directories: string[];
  /** To be run afterwards, in this order. */
  commands: Words[];
}

/** What takes a service away. */
export interface Removal {
  /** To be run first; what fails is no reason to stop. */
  before: Words[];
  files: string[];
  after: Words[];
}

/** How a service does. */
export interface ServiceStatus {
  name: string;
  state: "running" | "starting" | "stopping" | "stopped" | "failed" | "absent";
  /** What it says of itself, or why it failed. */
  detail?: string;
  pid?: number;
  /** How often it was started again after it had failed. */
  restarts?: number;
  /** The last lines it logged. */
  log: string[];
}

/** What a command printed. */
export interface CommandOutput {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a command to its end. Rejects when there is no such command. */
export type RunCommand = (words: Words) => Promise<CommandOutput>;

/** One system's way with services. */
export interface ServiceManager {
  /** @param isInstalled Whether there is a service of that name, which shall become this one. */
  install(spec: ServiceSpec, isInstalled: boolean): Installation;
  uninstall(name: string): Removal;
  start(name: string): Words;
  stop(name: string): Words;
  /** Names of those installed. */
  installed(): Promise<string[]>;
  status(name: string, run: RunCommand, logLines: number): Promise<ServiceStatus>;
}

/** Every name begins so: what does not is none of ours. */
export const NAME_PREFIX = "filesync-";

/**
 * A name for the service that does `command` with `path`, or with all that is to be done: of letters, digits, dots
 * and dashes.
 */
export function serviceName(command: string, path?: string): string {
  if (path === undefined) return NAME_PREFIX + command;
  const last = path.split(/[/\\]/).findLast((segment) => segment !== "") ?? "";
  const plain = last.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[-.]+|[-.]+$/g, "").slice(0, 60);
  return `${NAME_PREFIX}${command}-${plain || "root"}`;
}

/** `name` in full, with or without its beginning and `.service`; `undefined` when it cannot be one. */
export function fullName(name: string): string | undefined {
  const bare = name.replace(/\.service$/, "");
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,80}$/.test(bare)) return undefined;
  return bare.startsWith(NAME_PREFIX) ? bare : NAME_PREFIX + bare;
}
