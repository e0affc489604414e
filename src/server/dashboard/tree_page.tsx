/** `GET /tree`: a directory, as it is or as it was. @module */
import { Hono } from "hono";
import type { Clock } from "../../core/clock.ts";
import type { Entry } from "../../core/entry.ts";
import { FilesyncError } from "../../core/errors.ts";
import { nameOf, ROOT, type TreePath } from "../../core/path.ts";
import { Breadcrumbs } from "./breadcrumbs.tsx";
import { pathIn } from "./history_page.tsx";
import { parseMoment } from "./moments.ts";
import { Bytes, Foreign, Nothing, Pager, Table, Time } from "./parts.tsx";
import { link, type Shell } from "./section.ts";
import type { ShownTree } from "./shown_tree.ts";

/** What the page shows. */
export interface TreeSources {
  /** What is served, as people call it. */
  name: string;
  tree: ShownTree;
  clock: Clock;
}

export function treeRoutes({ name, tree, clock }: TreeSources, shell: Shell): Hono {
  return new Hono().get("/tree", shell.guard, async (c) => {
    const directory = pathIn(c.req.query("path") ?? "");
    const asked = c.req.query("at")?.trim() ?? "";
    const at = momentOf(tree, asked, clock.now());
    const after = c.req.query("after");
    if (directory !== ROOT) {
      const entry = await tree.entryAt(directory, at);
      if (entry === undefined) throw nothingThere(directory, at);
      if (entry.kind !== "directory") return c.redirect(link("/file", { path: directory, at: asked }), 303);
    }
    const page = await tree.directory({ directory, at, after: after ? pathIn(after) : undefined });
    const completeSince = (await tree.versions?.list({ limit: 1 }))?.completeSince;
    const body = (
      <>
        <Breadcrumbs path={directory} at={asked} top={name} />
        <h1>{directory === ROOT ? "Files" : <Foreign text={nameOf(directory)} />}</h1>
        <AsOf path={directory} asked={asked} at={at} completeSince={completeSince} />
        {page.entries.length === 0
          ? (
            <Nothing>
              {page.after !== undefined
                ? "Nothing of then is on this page."
                : at === undefined
                ? "Nothing stands here."
                : "Nothing stood here."}
            </Nothing>
          )
          : <Entries entries={page.entries} at={asked} />}
        <Pager
          first={after ? link("/tree", { path: directory, at: asked }) : undefined}
          next={page.after === undefined
            ? undefined
            : link("/tree", { path: directory, at: asked, after: page.after })}
          nextLabel="More"
        />
      </>
    );
    return shell.show(c, { title: directory === ROOT ? "Files" : directory, section: "/tree", body });
  });
}

/** The moment that is asked for. */
export function momentOf({ versions }: ShownTree, asked: string, now: number): number | undefined {
  const at = parseMoment(asked, now);
  if (at === undefined || versions !== undefined) return at;
  throw new FilesyncError({
    code: "not-found",
    operation: "look back",
    reason: "this server keeps no versions",
    hint: "Start it with filesync serve <dir> --keep",
    permanent: true,
  });
}

/** The error of a path where there is nothing. */
export function nothingThere(path: TreePath, at: number | undefined): FilesyncError {
  return new FilesyncError({
    code: "not-found",
    operation: `show "${path}"`,
    reason: at === undefined
      ? "nothing stands there"
      : `nothing stood there at ${new Date(at).toISOString()}`,
    hint: "Look for it in the history",
    permanent: true,
  });
}

function AsOf(
  { path, asked, at, completeSince }: {
    path: TreePath;
    asked: string;
    at: number | undefined;
    completeSince: number | undefined;
  },
) {
  if (completeSince === undefined) {
    return (
      <p class="note">What was before cannot be shown: start filesync serve with --keep to look back.</p>
    );
  }
  return (
    <form method="get" action="/tree" class="filters card" aria-label="As of a time">
      <input type="hidden" name="path" value={path} />
      <label>
        As of
        <input
          type="text"
          name="at"
          value={asked}
          placeholder="2026-11-20 18:00, or 2h"
          aria-describedby="as-of"
        />
      </label>
      <div class="buttons">
        <button type="submit">Show</button>
        {asked === "" ? "" : <a href={link("/tree", { path })}>Now</a>}
      </div>
      <p class="note" id="as-of">
        {at === undefined ? "This is how it is now." : (
          <>
            This is how it was at <Time at={at} />.
          </>
        )} {at !== undefined && at < completeSince
          ? (
            <b class="bad-ink">
              Something of then may be missing: all is told from <Time at={completeSince} /> on.
            </b>
          )
          : ""}
      </p>
    </form>
  );
}

function Entries({ entries, at }: { entries: readonly Entry[]; at: string }) {
  return (
    <div class="card">
      <Table
        caption="Entries"
        head={["name", { name: "size", number: true }, "modified", { name: "mode", number: true }]}
      >
        {entries.map((entry) => (
          <tr>
            <th scope="row" class="path">
              {entry.kind === "directory"
                ? (
                  <a class="folder" href={link("/tree", { path: entry.path, at })}>
                    <Foreign text={`${nameOf(entry.path)}/`} />
                  </a>
                )
                : (
                  <a href={link("/file", { path: entry.path, at })}>
                    <Foreign text={nameOf(entry.path)} />
                  </a>
                )}
              {entry.kind === "symlink"
                ? (
                  <span class="soft">
                    → <Foreign text={entry.target} />
                  </span>
                )
                : ""}
            </th>
            <td class="number">{entry.kind === "file" ? <Bytes of={entry.size} /> : ""}</td>
            <td>
              <Time at={entry.mtime} />
            </td>
            <td class="number soft">
              {entry.kind === "symlink" ? "" : entry.mode.toString(8).padStart(3, "0")}
            </td>
          </tr>
        ))}
      </Table>
    </div>
  );
}
