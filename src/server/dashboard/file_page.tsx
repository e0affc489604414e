/**
 * `GET /file`: one path with its versions; `GET /download` and `GET /picture`: what they hold; `POST /restore`: one of
 * them comes back.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import type { Child } from "hono/jsx";
import { actionFor } from "../../core/action.ts";
import type { Clock } from "../../core/clock.ts";
import type { Entry, FileEntry } from "../../core/entry.ts";
import { isDigest } from "../../core/digest.ts";
import { FilesyncError } from "../../core/errors.ts";
import type { Expectation } from "../../core/expectation.ts";
import { nameOf, parentOf, parsePath, type TreePath } from "../../core/path.ts";
import { errorOf } from "../../core/problem.ts";
import type { Batch, BatchResult, HistoryRecord } from "../../transport/receiver.ts";
import type { KeptFile } from "../../versions/kept_files.ts";
import { contentAnswer } from "../content_answer.ts";
import { Breadcrumbs } from "./breadcrumbs.tsx";
import { formOf } from "./form.ts";
import { Bytes, Card, Facts, Foreign, Nothing, Table, Time, What } from "./parts.tsx";
import { guess, MOST_PICTURE_BYTES, Preview, PREVIEW_BYTES } from "./preview.tsx";
import { link, type Shell } from "./section.ts";
import { momentOf, nothingThere, type TreeSources } from "./tree_page.tsx";

/** What the pages show, and change. */
export interface FileSources extends TreeSources {
  clock: Clock;
  /** Applies a batch and tells of it. */
  apply: (batch: Batch) => Promise<BatchResult>;
}

/** Versions and records that are shown. */
const SHOWN = 100;

/** What is looked at: what stands there, or a version. */
interface Chosen {
  path: TreePath;
  entry: Entry;
  /** Of a version. */
  version?: KeptFile;
}

export function fileRoutes(sources: FileSources, shell: Shell): Hono {
  const { tree, name } = sources;
  const app = new Hono();

  app.get("/file", shell.guard, async (c) => {
    const path = pathOf(c);
    const asked = c.req.query("at")?.trim() ?? "";
    const at = momentOf(tree, asked, sources.clock.now());
    const versions = await tree.versionsOf(path, SHOWN);
    const standing = await tree.entryAt(path);
    const chosen = await choose(c, sources, path, at);
    const records = await tree.historyOf(path, SHOWN);
    if (chosen === undefined && versions.length === 0 && records.length === 0) throw nothingThere(path, at);
    if (chosen?.entry.kind === "directory" && chosen.version === undefined) {
      return c.redirect(link("/tree", { path, at: asked }), 303);
    }
    const mayRestore = shell.accessOf(c) === "change";
    const body = (
      <>
        <Breadcrumbs path={path} at={asked} top={name} />
        <h1>
          <Foreign text={nameOf(path)} />
        </h1>
        {c.req.query("restored") === undefined ? "" : (
          <p class="alert good" role="status">
            It is restored; what stood there before is the newest version below.
          </p>
        )}
        {chosen === undefined
          ? <p class="alert">Nothing stands there{at === undefined ? " any more" : " then"}.</p>
          : <ChosenCard chosen={chosen} at={at} preview={await previewOf(sources, chosen)} />}
        <Versions {...{ path, versions, standing, mayRestore, chosen }} keeps={tree.versions !== undefined} />
        <Records records={records} />
      </>
    );
    return shell.show(c, { title: path, section: "/tree", body });
  });

  app.get("/download", shell.guard, async (c) => {
    const { entry } = await chooseFile(c, sources);
    const response = await answer(c, sources, entry);
    response.headers.set("content-disposition", attachment(nameOf(entry.path)));
    return response;
  });

  app.get("/picture", shell.guard, async (c) => {
    const { entry } = await chooseFile(c, sources);
    const guessed = guess(await beginningOf(sources, entry, 16));
    if (guessed.kind !== "picture" || entry.size > MOST_PICTURE_BYTES) {
      throw new FilesyncError({
        code: "unsupported",
        operation: `show "${entry.path}" as a picture`,
        reason: "it is none, or too big",
        hint: "Download it",
        permanent: true,
      });
    }
    const response = await answer(c, sources, entry);
    response.headers.set("content-type", guessed.type);
    return response;
  });

  app.post("/restore", shell.guard, async (c) => {
    const form = await formOf(c);
    const path = parsePath(decoded(form.path));
    const version = await versionOf(sources, path, String(form.version ?? ""));
    const action = { ...actionFor(version.entry), expected: expectationIn(decoded(form.expected)) };
    const batch = { key: crypto.randomUUID(), actions: [action], contents: new Map() };
    const { results: [result] } = await sources.apply(batch);
    if (!result.done) throw errorOf(result.problem);
    return c.redirect(link("/file", { path, restored: version.id }), 303);
  });

  return app;
}

function pathOf(c: Context): TreePath {
  return parsePath(c.req.query("path") ?? "");
}

/** What the query names: a version by its number, or what stands, or stood, at the path. */
async function choose(
  c: Context,
  sources: FileSources,
  path: TreePath,
  at: number | undefined,
): Promise<Chosen | undefined> {
  const number = c.req.query("version");
  if (number !== undefined) {
    const version = await versionOf(sources, path, number);
    return { path, entry: version.entry, version };
  }
  const entry = await sources.tree.entryAt(path, at);
  return entry && { path, entry };
}

async function chooseFile(c: Context, sources: FileSources): Promise<Chosen & { entry: FileEntry }> {
  const path = pathOf(c);
  const at = momentOf(sources.tree, c.req.query("at") ?? "", sources.clock.now());
  const chosen = await choose(c, sources, path, at);
  if (chosen === undefined || chosen.entry.kind !== "file") throw nothingThere(path, at);
  return { ...chosen, entry: chosen.entry };
}

async function versionOf({ tree }: FileSources, path: TreePath, number: string): Promise<KeptFile> {
  const id = /^\d{1,15}$/.test(number) ? Number(number) : -1;
  const page = id < 0 ? undefined : await tree.versions?.list({ before: id + 1, limit: 1 });
  const version = page?.versions[0];
  if (version?.id === id && version.entry.path === path) return version;
  throw new FilesyncError({
    code: "not-found",
    operation: `find this version of "${path}"`,
    reason: "there is none of that number (any more)",
    hint: "See those that there are on the page of the file",
    permanent: true,
  });
}

/** A content by what has it: a version is kept, what stands in the tree is read there. */
function read({ tree }: FileSources, entry: FileEntry, range?: { start: number; end: number }) {
  return tree.versions?.read(entry.digest, range) ?? tree.read(entry.path, range);
}

function answer(c: Context, sources: FileSources, entry: FileEntry): Promise<Response> {
  // Whatever it is, nothing in it may run, should a browser come to show it as a page.
  c.header("content-security-policy", "default-src 'none'; sandbox");
  return contentAnswer(c, entry, (range) => read(sources, entry, range));
}

async function beginningOf(sources: FileSources, entry: FileEntry, most: number): Promise<Uint8Array> {
  const end = Math.min(most, entry.size);
  if (end === 0) return new Uint8Array();
  const bytes = new Uint8Array(
    await new Response(await read(sources, entry, { start: 0, end })).arrayBuffer(),
  );
  return bytes.subarray(0, end);
}

async function previewOf(sources: FileSources, { path, entry, version }: Chosen) {
  if (entry.kind !== "file") return undefined;
  try {
    const beginning = await beginningOf(sources, entry, PREVIEW_BYTES);
    return (
      <Preview
        beginning={beginning}
        size={entry.size}
        picture={link("/picture", { path, version: version?.id })}
      />
    );
  } catch (error) {
    if (!(error instanceof FilesyncError)) throw error;
    return <p class="alert bad">{error.message}.</p>;
  }
}

/** A name for who saves it (RFC 6266): in full by its UTF-8, and for programs of before in ASCII. */
function attachment(name: string): string {
  const plain = name.replace(/[^\x20-\x7e]|["\\%]/g, "_");
  const encoded = encodeURIComponent(name).replace(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16)}`,
  );
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`;
}

/** A field of a form, which is encoded: browsers write line feeds in another way. */
function decoded(field: unknown): string {
  try {
    return decodeURIComponent(String(field ?? ""));
  } catch {
    return "";
  }
}

/** What the page showed at the path when the button was pressed, as a form can carry it. */
function expectationText(standing: Entry | undefined): string {
  switch (standing?.kind) {
    case undefined:
      return "nothing";
    case "file":
      return `file ${standing.digest}`;
    case "symlink":
      return `symlink ${standing.target}`;
    case "directory":
      return "directory";
  }
}

function expectationIn(text: string): Expectation {
  const [, kind, rest = ""] = /^(\w+)(?: ([^]*))?$/.exec(text) ?? [];
  if (kind === "nothing" || kind === "directory") return { kind };
  if (kind === "symlink") return { kind, target: rest };
  if (kind === "file" && isDigest(rest)) return { kind, digest: rest };
  throw new FilesyncError({
    code: "bad-request",
    operation: "restore a version",
    reason: "the form does not say what stands there now",
    hint: "Use the button on the page of the file",
    permanent: true,
  });
}

function ChosenCard({ chosen, at, preview }: { chosen: Chosen; at?: number; preview?: Child }) {
  const { path, entry, version } = chosen;
  const title = version !== undefined
    ? `Version ${version.id}`
    : at === undefined
    ? "As it is now"
    : "As it was";
  const facts: Parameters<typeof Facts>[0]["of"] = [
    ["modified", <Time at={entry.mtime} />],
    ...entry.kind === "symlink"
      ? [["points to", <Foreign text={entry.target} />] as const]
      : [["mode", entry.mode.toString(8).padStart(3, "0")] as const],
    ...entry.kind === "file"
      ? [
        ["size", <Bytes of={entry.size} />] as const,
        ["SHA-256", <code class="digest">{entry.digest}</code>] as const,
      ]
      : [],
    ...version === undefined ? [] : [
      ["stood there from", <Time at={version.since} />] as const,
      [`${version.cause} at`, <Time at={version.keptAt} />] as const,
    ],
  ];
  const query = {
    path,
    version: version?.id,
    at: version === undefined && at !== undefined ? iso(at) : undefined,
  };
  return (
    <Card
      id="content"
      title={title}
      note={entry.kind === "file"
        ? <a class="button" href={link("/download", query)}>Download</a>
        : undefined}
    >
      <Facts of={facts} />
      {preview ?? ""}
    </Card>
  );
}

function iso(at: number): string {
  return new Date(at).toISOString();
}

function Versions(
  { path, versions, standing, mayRestore, keeps, chosen }: {
    path: TreePath;
    versions: readonly KeptFile[];
    standing: Entry | undefined;
    mayRestore: boolean;
    keeps: boolean;
    chosen: Chosen | undefined;
  },
) {
  return (
    <Card
      id="versions"
      title="Versions"
      note={chosen?.version === undefined || standing === undefined
        ? undefined
        : <a href={link("/file", { path })}>as it is now</a>}
    >
      {versions.length === 0
        ? (
          <Nothing>
            {keeps
              ? "Nothing of it was replaced or removed since versions are kept."
              : "This server keeps no versions: start filesync serve with --keep."}
          </Nothing>
        )
        : (
          <Table
            caption="Versions, newest first"
            head={["version", "stood there from", "until", "and was", { name: "size", number: true }, {
              name: "to do",
              number: true,
            }]}
          >
            {versions.map((version) => (
              <tr class={version.id === chosen?.version?.id ? "chosen" : undefined}>
                <th scope="row">
                  <a href={link("/file", { path, version: version.id })}>{String(version.id)}</a>
                </th>
                <td>
                  <Time at={version.since} />
                </td>
                <td>
                  <Time at={version.keptAt} />
                </td>
                <td>
                  <What what={version.cause} />
                </td>
                <td class="number">
                  {version.entry.kind === "file" ? <Bytes of={version.entry.size} /> : version.entry.kind}
                </td>
                <td>
                  <div class="actions">
                    {version.entry.kind === "file"
                      ? <a href={link("/download", { path, version: version.id })}>Download</a>
                      : ""}
                    {mayRestore ? <Restore {...{ path, version, standing }} /> : ""}
                  </div>
                </td>
              </tr>
            ))}
          </Table>
        )}
      {versions.length === 0 ? "" : (
        <p class="note">
          {mayRestore
            ? "What stands there now is kept before it is replaced. A client that pushes this path puts its own content back with its next change."
            : "With this login nothing can be restored."}
        </p>
      )}
    </Card>
  );
}

function Restore(
  { path, version, standing }: { path: TreePath; version: KeptFile; standing: Entry | undefined },
) {
  return (
    <form method="post" action="/restore">
      <input type="hidden" name="path" value={encodeURIComponent(path)} />
      <input type="hidden" name="version" value={String(version.id)} />
      <input type="hidden" name="expected" value={encodeURIComponent(expectationText(standing))} />
      <button type="submit" aria-label={`Restore version ${version.id}`}>Restore</button>
    </form>
  );
}

function Records({ records }: { records: readonly HistoryRecord[] }) {
  if (records.length === 0) return null;
  const [{ path }] = records;
  return (
    <Card
      id="records"
      title="What happened to it"
      note={<a href={link("/history", { under: parentOf(path) })}>all around it</a>}
    >
      <Table
        caption="What happened to it, newest first"
        head={["time", "what", { name: "size", number: true }, "SHA-256"]}
      >
        {records.map(({ time, what, size, digest }) => (
          <tr>
            <td>
              <Time at={time} />
            </td>
            <td>
              <What what={what} />
            </td>
            <td class="number">{size === undefined ? "" : <Bytes of={size} />}</td>
            <td class="soft">
              {digest === undefined ? "" : <code title={digest}>{digest.slice(0, 16)}</code>}
            </td>
          </tr>
        ))}
      </Table>
    </Card>
  );
}
