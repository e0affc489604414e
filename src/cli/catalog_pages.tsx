/**
 * Pages over a catalog: how it grew, what changed when, and what takes the space, down to the last directory.
 * What a catalog says changes only with a scan, so that what was asked once is remembered until the next one.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import type { Child } from "hono/jsx";
import { count, formatBytes, grouped, signedBytes } from "../core/amounts.ts";
import type { Clock } from "../core/clock.ts";
import { CHANGE_KINDS, type ChangeKind, type ChangeRecord, someChanges } from "../crawler/change_queries.ts";
import {
  biggestIn,
  type DirectorySum,
  fullestBelow,
  lastScan,
  type ScannedRoot,
  scannedRoots,
  spaceIn,
  type SpaceView,
} from "../crawler/catalog_views.ts";
import {
  type ListedFile,
  type Period,
  type PeriodLength,
  periodsOf,
  periodStart,
  totalOf,
} from "../crawler/report_data.ts";
import type { Store } from "../crawler/store.ts";
import { GrowthChart, LineChart, TreemapChart } from "../server/dashboard/charts.tsx";
import { Bytes, Card, Facts, Foreign, Nothing, Table, Time, What } from "../server/dashboard/parts.tsx";
import { link, type Section, type Shell } from "../server/dashboard/section.ts";
import { Remembered } from "./remembered.ts";

/** How far back charts look. */
const LOOKS_BACK: Record<PeriodLength, number> = { day: 60 * 86_400_000, week: 2 * 365 * 86_400_000 };

/** Directories, files and changes that are listed. */
const LISTED = 25;
const TILES = 40;
const CHANGES = 200;

/** Charts stand in columns, so that letters in them would be small if they were as wide as a page. */
const CHART_WIDTH = 520;
const TREEMAP_WIDTH = 760;

/** Where the reader is, as the address says. */
interface Asked {
  host?: string;
  /** Absent at the first page, where the trees are told that were scanned. */
  under?: string;
  period: PeriodLength;
}

/** The pages. */
export function catalogSection(store: Store, clock: Clock): Section {
  return {
    menu: [{ label: "Catalog", href: "/" }, { label: "Changes", href: "/changes" }],
    routes: (shell) => catalogRoutes(store, clock, shell),
  };
}

function catalogRoutes({ sql, name }: Store, clock: Clock, shell: Shell): Hono {
  const app = new Hono();
  const remembered = new Remembered(() => lastScan(sql));

  app.get("/", shell.guard, async (c) => {
    const roots = await remembered.get("roots", () => scannedRoots(sql));
    const asked = askedOf(c, roots);
    const { host, under = "", period } = asked;
    const until = clock.now() + 1;
    const day = periodStart(clock.now(), "day");
    const root = loneRoot(roots, asked);
    const place = { host, under, isMost: under === "" || root !== undefined };
    const view = await remembered.get(JSON.stringify([asked, day]), async () => ({
      periods: await periodsOf(
        sql,
        asked,
        { since: until - LOOKS_BACK[period], until, host, under: asked.under },
        root,
      ),
      space: asked.under === undefined ? await spaceOfRoots(roots) : await spaceIn(sql, place, TILES),
      fullest: await fullestBelow(sql, place, LISTED),
      biggest: asked.under === undefined ? [] : await biggestIn(sql, place, LISTED),
    }));
    const body = (
      <>
        <Way asked={asked} />
        <h1>{asked.under === undefined ? "Catalog" : <Foreign text={lastName(asked.under)} />}</h1>
        <Total {...view.space.total} />
        <div class="grid">
          <div class="column">
            <Space space={view.space} asked={asked} />
            <Fullest all={view.fullest} asked={asked} />
          </div>
          <div class="column">
            <Growth periods={view.periods} total={view.space.total.bytes} asked={asked} />
            {asked.under === undefined ? <Roots roots={roots} /> : <Biggest files={view.biggest} />}
          </div>
        </div>
      </>
    );
    return shell.show(c, { title: asked.under ?? name, section: "/", body });
  });

  /** The trees that were scanned, as if they lay in one directory. */
  async function spaceOfRoots(roots: readonly ScannedRoot[]): Promise<SpaceView> {
    const children: DirectorySum[] = [];
    for (const { host, path } of roots.slice(0, TILES)) {
      children.push({ name: path || "/", path, host, ...await totalOf(sql, host, path) });
    }
    children.sort((a, b) => b.bytes - a.bytes);
    const total = await totalOf(sql, undefined, undefined);
    return { total, own: { files: 0, bytes: 0 }, children, more: Math.max(0, roots.length - TILES) };
  }

  app.get("/changes", shell.guard, async (c) => {
    const asked = askedOf(c, []);
    const kind = CHANGE_KINDS.find((kind) => kind === c.req.query("kind"));
    const day = /^\d{4}-\d{2}-\d{2}$/.test(c.req.query("day") ?? "") ? c.req.query("day") : undefined;
    const since = day === undefined ? clock.now() - LOOKS_BACK.day : Date.parse(day);
    const length = asked.period === "week" ? 7 : 1;
    const until = day === undefined ? clock.now() + 1 : since + length * 86_400_000;
    const { host, under } = asked;
    const query = { since, until, host, under, ...(kind === undefined ? {} : { kinds: [kind] }) };
    const key = JSON.stringify([asked, kind, day ?? periodStart(clock.now(), "day")]);
    const records = await remembered.get(key, () => someChanges(sql, query, CHANGES + 1));
    const body = (
      <>
        <Way asked={asked} />
        <h1>
          Changes{" "}
          {day === undefined ? "of the last 60 days" : length === 7 ? `of the week from ${day}` : `of ${day}`}
        </h1>
        <ChangeFilters asked={asked} kind={kind} day={day} />
        <Changes records={records} />
      </>
    );
    return shell.show(c, { title: "Changes", section: "/changes", body });
  });

  return app;
}

function askedOf(c: Context, roots: readonly ScannedRoot[]): Asked {
  const host = c.req.query("host") || undefined;
  const given = c.req.query("under");
  const only = roots.length === 1 ? roots[0] : undefined;
  return {
    host: host ?? only?.host,
    under: given === undefined ? only?.path : cleanPath(given),
    period: c.req.query("period") === "week" ? "week" : "day",
  };
}

/** The tree that is asked for, when no other one of its machine holds it, or is held by it. */
function loneRoot(roots: readonly ScannedRoot[], { host, under }: Asked): string | undefined {
  if (under === undefined) return undefined;
  const near = roots.filter((root) =>
    (host === undefined || root.host === host) && (isBelow(root.path, under) || isBelow(under, root.path))
  );
  return near.length === 1 && near[0].path === under ? under : undefined;
}

function isBelow(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

/** A directory as catalogs have it. */
function cleanPath(text: string): string {
  return text.replace(/\/+$/, "");
}

function lastName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1) || "/";
}

function here(
  { host, under }: Pick<Asked, "host" | "under">,
  more: Record<string, string | undefined> = {},
): string {
  return link("/", { host, under: under === "" ? "/" : under, ...more });
}

/** The directories above, a link for each. */
function Way({ asked }: { asked: Asked }) {
  const { host, under } = asked;
  const names = under === undefined ? [] : under.split("/").slice(1);
  return (
    <nav aria-label="Path" class="crumbs">
      <ol>
        <li>
          <a href="/">all trees</a>
        </li>
        {host === undefined ? "" : (
          <li>
            <a href={here({ host, under: "" })}>
              <Foreign text={host} />
            </a>
          </li>
        )}
        {names.map((name, i) => (
          <li>
            <a
              href={here({ host, under: `/${names.slice(0, i + 1).join("/")}` })}
              aria-current={i === names.length - 1 ? "page" : undefined}
            >
              <Foreign text={name} />
            </a>
          </li>
        ))}
      </ol>
    </nav>
  );
}

function Total({ files, directories, bytes }: { files: number; directories: number; bytes: number }) {
  const figures: [string, Child][] = [
    ["in all", <Bytes of={bytes} />],
    ["files", grouped(files)],
    ["directories", grouped(directories)],
    ["a file on average", files === 0 ? "–" : <Bytes of={bytes / files} />],
  ];
  return <Facts of={figures} as="strip" />;
}

function Growth({ periods, total, asked }: { periods: readonly Period[]; total: number; asked: Asked }) {
  const { host, under, period } = asked;
  const other = period === "day" ? "week" : "day";
  // What there is now, less what came since.
  let bytes = total;
  const points = periods.toReversed().map(({ start, growth }) => {
    const point = { name: start, value: bytes };
    bytes -= growth;
    return point;
  }).reverse();
  const steps = periods.map(({ start, bytesAdded, bytesModified, bytesRemoved, growth }) => ({
    start,
    growth,
    came: bytesAdded + bytesModified,
    went: bytesRemoved,
    href: link("/changes", { host, under, day: start, period }),
  }));
  return (
    <Card
      id="growth"
      title="Growth"
      note={<a href={here(asked, { period: other })}>by {other}</a>}
    >
      {periods.length === 0 ? <Nothing>No scan has ended lately.</Nothing> : (
        <>
          <div class="wide" tabindex={0} role="region" aria-label="Chart: growth">
            {points.length < 2
              ? ""
              : <LineChart title="Size over time" points={points} width={CHART_WIDTH} />}
            <GrowthChart title={`Bytes that came and went, by ${period}`} steps={steps} width={CHART_WIDTH} />
          </div>
          <Table
            caption={`By ${period}`}
            head={[
              period,
              ...["added", "modified", "moved", "removed", "growth"].map((name) => ({ name, number: true })),
            ]}
          >
            {periods.slice(-14).toReversed().map(({ start, added, modified, moved, removed, growth }) => (
              <tr>
                <th scope="row">
                  <a href={link("/changes", { host, under, day: start, period })}>{start}</a>
                </th>
                {[added, modified, moved, removed].map((number) => <td class="number">{grouped(number)}</td>)}
                <td class="number">{signedBytes(growth)}</td>
              </tr>
            ))}
          </Table>
        </>
      )}
    </Card>
  );
}

function Space({ space: { own, children, more }, asked }: { space: SpaceView; asked: Asked }) {
  const items = children.map(({ name, path, bytes, host = asked.host }) => {
    return { name, value: bytes, href: here({ host, under: path }) };
  });
  const loose = own.bytes > 0 ? [{ name: "files here", value: own.bytes }] : [];
  const all = [...items, ...loose];
  return (
    <Card id="space" title="What takes the space">
      {all.every(({ value }) => value === 0)
        ? <Nothing>There is nothing in it.</Nothing>
        : (
          <div class="wide" tabindex={0} role="region" aria-label="Chart: what takes the space">
            <TreemapChart title="What takes the space" items={all} width={TREEMAP_WIDTH} />
          </div>
        )}
      {children.length === 0 ? "" : (
        <Table
          caption="Directories, the biggest first"
          head={["directory", { name: "size", number: true }, { name: "files", number: true }]}
        >
          {children.slice(0, LISTED).map(({ name, path, bytes, files, host = asked.host }) => (
            <tr>
              <th scope="row" class="path">
                <a class="folder" href={here({ host, under: path })}>
                  <Foreign text={name} />
                </a>
              </th>
              <td class="number">
                <Bytes of={bytes} />
              </td>
              <td class="number">{grouped(files)}</td>
            </tr>
          ))}
        </Table>
      )}
      {own.files === 0
        ? ""
        : <p class="note">And {count(own.files, "file")} here, {formatBytes(own.bytes)}.</p>}
      {more === 0 ? "" : <p class="note">And {count(more, "smaller directory", "smaller directories")}.</p>}
    </Card>
  );
}

function Fullest({ all, asked: { host } }: { all: readonly DirectorySum[]; asked: Asked }) {
  if (all.length === 0) return null;
  return (
    <Card id="fullest" title="Fullest directories" note="by the files in them, without what lies deeper">
      <Table
        caption="Fullest directories"
        head={["directory", { name: "size", number: true }, { name: "files", number: true }]}
      >
        {all.map(({ path, bytes, files }) => (
          <tr>
            <th scope="row" class="path">
              <a href={here({ host, under: path })}>
                <Foreign text={path || "/"} />
              </a>
            </th>
            <td class="number">
              <Bytes of={bytes} />
            </td>
            <td class="number">{grouped(files)}</td>
          </tr>
        ))}
      </Table>
    </Card>
  );
}

function Biggest({ files }: { files: readonly ListedFile[] }) {
  return (
    <Card id="biggest" title="Biggest files here">
      {files.length === 0
        ? <Nothing>No file lies in this directory itself.</Nothing>
        : (
          <Table caption="Biggest files here" head={["file", { name: "size", number: true }, "modified"]}>
            {files.map(({ path, size, mtime }) => (
              <tr>
                <th scope="row" class="path">
                  <Foreign text={lastName(path)} />
                </th>
                <td class="number">
                  <Bytes of={size} />
                </td>
                <td>
                  <Time at={mtime} />
                </td>
              </tr>
            ))}
          </Table>
        )}
    </Card>
  );
}

function Roots({ roots }: { roots: readonly ScannedRoot[] }) {
  return (
    <Card id="roots" title="Scanned trees">
      {roots.length === 0
        ? <Nothing>Nothing has been scanned yet: run filesync scan.</Nothing>
        : (
          <Table caption="Scanned trees" head={["tree", "on", "last scan"]}>
            {roots.map(({ host, path, time }) => (
              <tr>
                <th scope="row" class="path">
                  <a href={here({ host, under: path })}>
                    <Foreign text={path || "/"} />
                  </a>
                </th>
                <td>
                  <Foreign text={host} />
                </td>
                <td>
                  <Time at={time} />
                </td>
              </tr>
            ))}
          </Table>
        )}
    </Card>
  );
}

function ChangeFilters({ asked, kind, day }: { asked: Asked; kind?: ChangeKind; day?: string }) {
  const { host, under, period } = asked;
  return (
    <form method="get" action="/changes" class="filters card" role="search" aria-label="Changes">
      {host === undefined ? "" : <input type="hidden" name="host" value={host} />}
      {period === "week" ? <input type="hidden" name="period" value="week" /> : ""}
      <label>
        Below
        <input type="text" name="under" value={under ?? ""} placeholder="/ for everything" />
      </label>
      <label>
        Day
        <input type="date" name="day" value={day ?? ""} />
      </label>
      <label>
        What
        <select name="kind">
          <option value="">anything</option>
          {CHANGE_KINDS.map((one) => <option value={one} selected={one === kind}>{one}</option>)}
        </select>
      </label>
      <div class="buttons">
        <button type="submit">Show</button>
        <a href="/changes">Clear</a>
      </div>
    </form>
  );
}

function Changes({ records }: { records: readonly ChangeRecord[] }) {
  if (records.length === 0) return <Nothing>No scan found anything of that kind.</Nothing>;
  return (
    <div class="card">
      <Table caption="Changes" head={["found", "what", "path", { name: "size", number: true }]}>
        {records.slice(0, CHANGES).map(({ time, kind, path, from, oldSize, newSize }) => (
          <tr>
            <td>
              <Time at={time} />
            </td>
            <td>
              <What what={kind} />
            </td>
            <td class="path">
              {from === undefined ? "" : (
                <>
                  <Foreign text={from} /> →{" "}
                </>
              )}
              <Foreign text={path} />
            </td>
            <td class="number">
              {oldSize !== undefined && newSize !== undefined && oldSize !== newSize
                ? (
                  <>
                    <Bytes of={oldSize} /> → <Bytes of={newSize} />
                  </>
                )
                : <Bytes of={newSize ?? oldSize ?? 0} />}
            </td>
          </tr>
        ))}
      </Table>
      {records.length > CHANGES
        ? <p class="note">These are {CHANGES} of more: narrow it down, or run filesync changes for all.</p>
        : ""}
    </div>
  );
}
