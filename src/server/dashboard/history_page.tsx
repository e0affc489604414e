/** `GET /history`: what changed, newest first, with search and filters. @module */
import { Hono } from "hono";
import type { Clock } from "../../core/clock.ts";
import { grouped } from "../../core/amounts.ts";
import { parsePath, ROOT, type TreePath } from "../../core/path.ts";
import type { HistoryPage } from "../../index/history_search.ts";
import { parseMoment } from "./moments.ts";
import { Bytes, Foreign, Nothing, Pager, PathLink, Table, Time, What } from "./parts.tsx";
import { link, type Shell } from "./section.ts";
import type { ShownTree } from "./shown_tree.ts";

/** Records on a page. */
const LIMIT = 100;

/** What can be chosen, in words, and which records are meant. */
const CHOICES: Record<string, { label: string; what: readonly string[] }> = {
  put: { label: "put", what: ["put"] },
  remove: { label: "removed", what: ["remove"] },
  move: { label: "moved", what: ["move"] },
  other: { label: "directories and links", what: ["directory", "symlink"] },
  found: { label: "found changed behind our back", what: ["found", "found-gone"] },
};

/** What the form sent. */
type Asked = Record<"text" | "under" | "what" | "since" | "until" | "before", string>;

export function historyRoutes({ tree, clock }: { tree: ShownTree; clock: Clock }, shell: Shell): Hono {
  return new Hono().get("/history", shell.guard, async (c) => {
    const asked = Object.fromEntries(
      ["text", "under", "what", "since", "until", "before"].map((
        name,
      ) => [name, c.req.query(name)?.trim() ?? ""]),
    ) as Asked;
    const now = clock.now();
    const page = await tree.search({
      under: pathIn(asked.under),
      text: asked.text.slice(0, 1_000),
      what: Object.hasOwn(CHOICES, asked.what) ? CHOICES[asked.what].what : [],
      since: parseMoment(asked.since, now),
      until: parseMoment(asked.until, now),
      before: /^\d{1,15}$/.test(asked.before) ? Number(asked.before) : undefined,
      limit: LIMIT,
    });
    const body = (
      <>
        <h1>History</h1>
        <Filters asked={asked} />
        <Records page={page} />
        <Pages asked={asked} page={page} />
      </>
    );
    return shell.show(c, { title: "History", section: "/history", body });
  });
}

/** A directory that was typed; slashes around it do not matter. */
export function pathIn(text: string): TreePath {
  const bare = text.replace(/^\/+|\/+$/g, "");
  return bare === "" ? ROOT : parsePath(bare);
}

function Filters({ asked }: { asked: Asked }) {
  return (
    <form method="get" action="/history" class="filters card" role="search" aria-label="History">
      <label>
        Path contains
        <input type="search" name="text" value={asked.text} />
      </label>
      <label>
        Below
        <input type="text" name="under" value={asked.under} placeholder="any directory" />
      </label>
      <label>
        What
        <select name="what">
          <option value="">anything</option>
          {Object.entries(CHOICES).map(([name, { label }]) => (
            <option value={name} selected={asked.what === name}>{label}</option>
          ))}
        </select>
      </label>
      <label>
        From
        <input type="text" name="since" value={asked.since} placeholder="2026-11-20 or 2h" />
      </label>
      <label>
        Until
        <input type="text" name="until" value={asked.until} placeholder="2026-11-20 18:00" />
      </label>
      <div class="buttons">
        <button type="submit">Search</button>
        <a href="/history">Clear</a>
      </div>
    </form>
  );
}

function Records({ page: { rows, before, looked } }: { page: HistoryPage }) {
  if (rows.length === 0) {
    return before === undefined
      ? <Nothing>Nothing of that kind has happened.</Nothing>
      : <Nothing>Nothing of that kind is among these {grouped(looked)} changes.</Nothing>;
  }
  return (
    <div class="card">
      <Table caption="Changes, newest first" head={["time", "what", "path", { name: "size", number: true }]}>
        {rows.map(({ time, what, path, from, size }) => (
          <tr>
            <td>
              <Time at={time} />
            </td>
            <td>
              <What what={what} />
            </td>
            <td class="path">
              {from === undefined ? "" : (
                <>
                  <Foreign text={from} /> →{" "}
                </>
              )}
              <PathLink path={path} />
            </td>
            <td class="number">{size === undefined ? "" : <Bytes of={size} />}</td>
          </tr>
        ))}
      </Table>
    </div>
  );
}

function Pages({ asked, page: { rows, before } }: { asked: Asked; page: HistoryPage }) {
  return (
    <Pager
      first={asked.before === "" ? undefined : link("/history", { ...asked, before: undefined })}
      next={before === undefined ? undefined : link("/history", { ...asked, before })}
      nextLabel={rows.length < LIMIT ? "Search further back" : "Older changes"}
    />
  );
}
