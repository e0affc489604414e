/** The table of all commands, in the order of the help. @module */
import { type Command, type CommandEntry, loadCommand } from "./command.ts";

/** All commands. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: "serve",
    summary: "Take changes into a directory, over HTTP",
    load: () => import("./serve.ts").then(({ serveCommand }) => serveCommand),
  },
  {
    name: "watch",
    fromTables: true,
    summary: "Push every change of a directory to a server or another directory",
    load: () => import("./watch.ts").then(({ watchCommand }) => watchCommand),
  },
  {
    name: "sync",
    summary: "Make a backup equal to a directory, and keep versions of what was there",
    load: () => import("./sync.ts").then(({ syncCommand }) => syncCommand),
  },
  {
    name: "versions",
    summary: "Show the versions of a directory, or of a file in it",
    load: () => import("./versions.ts").then(({ versionsCommand }) => versionsCommand),
  },
  {
    name: "restore",
    summary: "Bring back a version of a directory, or of a part of it",
    load: () => import("./restore.ts").then(({ restoreCommand }) => restoreCommand),
  },
  {
    name: "verify",
    summary: "Read all of a directory and its versions, and find what a disk has spoilt",
    load: () => import("./verify.ts").then(({ verifyCommand }) => verifyCommand),
  },
  {
    name: "status",
    summary: "Show what is pushed where, what waits and what has problems",
    load: () => import("./status.ts").then(({ statusCommand }) => statusCommand),
  },
  {
    name: "why",
    summary: "Say why a path is, or is not, in step",
    load: () => import("./why.ts").then(({ whyCommand }) => whyCommand),
  },
  {
    name: "doctor",
    summary: "Check what could keep filesync from working here",
    load: () => import("./doctor.ts").then(({ doctorCommand }) => doctorCommand),
  },
  {
    name: "history",
    summary: "Show what changed at a destination, newest first",
    load: () => import("./history.ts").then(({ historyCommand }) => historyCommand),
  },
  {
    name: "scan",
    summary: "Record what is new, modified, moved and removed in a tree",
    load: () => import("./scan.ts").then(({ scanCommand }) => scanCommand),
  },
  {
    name: "changes",
    summary: "Show what scans found new, modified, moved and removed",
    load: () => import("./changes.ts").then(({ changesCommand }) => changesCommand),
  },
  {
    name: "report",
    summary: "Show how scanned trees grow, and what is in them",
    load: () => import("./report_command.ts").then(({ reportCommand }) => reportCommand),
  },
  {
    name: "catalog",
    summary: "Make a catalog, bring it up to date, or tidy it up",
    load: () => import("./catalog_command.ts").then(({ catalogCommand }) => catalogCommand),
  },
  {
    name: "digest",
    summary: "Print one digest for all that is in a directory",
    load: () => import("./digest.ts").then(({ digestCommand }) => digestCommand),
  },
  {
    name: "service",
    summary: "Run serve, watch or sync as a service of systemd, launchd or Windows",
    load: () => import("./service.ts").then(({ serviceCommand }) => serviceCommand(COMMANDS)),
  },
  {
    name: "init",
    summary: "Make a settings file with every setting, explained",
    load: () => import("./init.ts").then(({ initCommand }) => initCommand(loadCommands)),
  },
  {
    name: "completions",
    summary: "Print a script that makes a shell complete filesync's commands",
    load: () =>
      import("./completions_command.ts").then(({ completionsCommand }) => completionsCommand(loadCommands)),
  },
  {
    name: "man",
    summary: "Print the manual page",
    load: () => import("./man_command.ts").then(({ manCommand }) => manCommand(loadCommands)),
  },
  {
    name: "upgrade",
    summary: "Say whether there is a newer release",
    load: () => import("./upgrade.ts").then(({ upgradeCommand }) => upgradeCommand),
  },
];

/** All commands with all that they are. */
export function loadCommands(): Promise<Command[]> {
  return Promise.all(COMMANDS.map(loadCommand));
}
