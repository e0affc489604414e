/** `filesync watch`: push every change of a directory. @module */
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import { DescribePool } from "../chunking/describe_pool.ts";
import { shareWatchers } from "../watcher/shared_watcher.ts";
import { PASSWORD_FILE_FLAG } from "./catalog_location.ts";
import { type CommandBody, type Context, type Invocation, LOG_FLAGS } from "./command.ts";
import { INTO_FLAG, NO_FSYNC_FLAG, SERVER_FLAGS } from "./destination.ts";
import { LIMIT_FLAG } from "./limit.ts";
import { openPrinter } from "./printer.ts";
import { onReload } from "./reload.ts";
import { printersOf, runAll } from "./several_pushes.ts";
import { SSH_FLAGS } from "./ssh.ts";
import { STATE_FLAG } from "./state_home.ts";
import { TOKEN_FILE_FLAG } from "./token.ts";
import { runWatchJob, watchJobs } from "./watch_job.ts";

export const watchCommand: CommandBody = {
  description:
    "Brings the destination in step with <dir>, then pushes every change as soon as the file has settled: content, names, permissions and times of files, directories and symbolic links. Content that the destination has anywhere, whole or in parts, is not sent again.\n\n" +
    "Changes wait in a queue on disk, so that a dead network or a restart loses nothing. Look into it with `filesync status` and `filesync why`. Stop with Ctrl+C.\n\n" +
    "What stands at the destination and was not put there by this command is left alone. Names in .filesyncignore files, in the language of .gitignore, are left out.\n\n" +
    "With several --to, and for several directories in [[watch]] tables of the settings file, each with its dir and its to, each push has a queue and a state of its own: one that fails or is away does not stop the others, and is tried again. The exit code is the highest of all. A token is shown to every server; where they differ, give each a table with its own token-file.",
  arguments: [{
    name: "dir",
    optional: true,
    description: "The directory to watch; without it, those of the settings file",
  }],
  flags: [
    {
      name: "to",
      short: "t",
      value: "DEST",
      required: true,
      repeat: true,
      env: "FILESYNC_TO",
      description: "host[:port] or http(s)://… of `filesync serve`, sftp://user@host/path, or a directory",
    },
    INTO_FLAG,
    { name: "once", short: "1", description: "Push what is there now, and exit" },
    {
      name: "ignore",
      short: "i",
      value: "PATTERN",
      repeat: true,
      env: "FILESYNC_IGNORE",
      description: "Leave out what matches, as if it stood in .filesyncignore",
    },
    TOKEN_FILE_FLAG,
    STATE_FLAG,
    LIMIT_FLAG,
    ...SERVER_FLAGS,
    ...SSH_FLAGS,
    {
      name: "allow-mass-delete",
      description: "Carry out removals even if the source is empty or more than half of it is gone",
    },
    { name: "delete", description: "Also remove what stands at the destination and is not in <dir>" },
    {
      name: "dry-run",
      short: "n",
      description: "Print what would be done since the last run, and do nothing",
    },
    NO_FSYNC_FLAG,
    {
      name: "catalog",
      value: "URL",
      ownOnly: true,
      description: "Scan <dir> into this catalog too, and keep it current: see filesync scan",
    },
    PASSWORD_FILE_FLAG,
    ...LOG_FLAGS,
  ],
  examples: [
    {
      command: "filesync watch ~/photos --to backup.lan",
      does: "Keep the server's copy of the photos in step",
    },
    { command: "filesync watch . --to ./copy --once", does: "Bring a directory beside it in step, and exit" },
    {
      command: "filesync watch src --to build:7433 -i node_modules/ -i '*.o'",
      does: "Leave out what is built",
    },
    { command: "filesync watch ~/docs --to backup.lan --into laptop", does: "Share a server with others" },
    {
      command: "filesync watch ~/photos --to backup.lan --to /mnt/usb/photos",
      does: "To a server and to a disk, each at its own pace",
    },
    {
      command: "filesync watch ~/photos --to sftp://me@box.example/~/photos",
      does: "To a server that has only SSH",
    },
    { command: "filesync watch", does: "All that [[watch]] tables of the settings file name" },
    {
      command: 'filesync watch . --to backup.lan --limit "08:00,1M 18:00,off"',
      does: "Leave the line to others by day",
    },
  ],
  run: watch,
};

async function watch(invocation: Invocation, context: Context): Promise<number> {
  const jobs = watchJobs(invocation, context);
  using printer = openPrinter(invocation, context);
  using _reload = onReload(context, printer, () => jobs.forEach((job) => job.readToken()));
  if (jobs.length === 1) return await runWatchJob(jobs[0], printer, context);
  using pool = new DescribePool(DEFAULT_CHUNKING);
  const shared = { pool, openWatch: shareWatchers() };
  const printers = printersOf(jobs, printer);
  return await runAll(
    jobs.map((job, i) => ({
      run: () => runWatchJob(job, printers[i], context, shared),
      operation: `push "${job.source}" to ${job.destination}`,
      printer: printers[i],
      once: job.once,
    })),
    context,
  );
}
