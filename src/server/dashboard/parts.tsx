/** The small parts that all pages are made of. Whatever comes from elsewhere goes through one of them. @module */
import type { Child } from "hono/jsx";
import { formatBytes, formatDuration, grouped } from "../../core/amounts.ts";
import { visible } from "../../core/visible.ts";
import { link } from "./section.ts";

/** A size for people, with the exact one behind it. */
export function Bytes({ of }: { of: number }) {
  return (
    <data value={String(of)} title={`${grouped(Math.round(of))} bytes`}>{formatBytes(Math.round(of))}</data>
  );
}

/** A moment, in UTC; a script turns it to the reader's own time. */
export function Time({ at }: { at: number }) {
  const iso = timeText(at);
  if (iso === undefined) return <span>unknown</span>;
  return <time datetime={iso}>{iso.slice(0, 19).replace("T", " ")}</time>;
}

/** How long ago something was. */
export function Ago({ at, now }: { at: number; now: number }) {
  const iso = timeText(at);
  const text = agoText(now - at);
  return iso === undefined ? <span>{text}</span> : <time datetime={iso} data-ago="">{text}</time>;
}

/** In steps that grow: what is shown again and again should not change all the time. */
function agoText(ms: number): string {
  if (ms < 5_000) return "now";
  const step = ms < 60_000 ? 5_000 : ms < 3_600_000 ? 60_000 : ms < 86_400_000 ? 3_600_000 : 86_400_000;
  return `${formatDuration(Math.floor(ms / step) * step)} ago`;
}

function timeText(at: number): string | undefined {
  const date = new Date(at);
  return at <= 0 || Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

/** A text that came from elsewhere: nothing of it is hidden, and it reorders nothing around it. Lines end after slashes. */
export function Foreign({ text }: { text: string }) {
  const parts = visible(text).split(/(?<=\/)/);
  return (
    <bdi>
      {parts.map((part, i) =>
        i === 0 ? part : (
          <>
            <wbr />
            {part}
          </>
        )
      )}
    </bdi>
  );
}

/** A path that leads to its page. */
export function PathLink({ path, at }: { path: string; at?: string }) {
  return (
    <a class="path" href={link("/file", { path, at })}>
      <Foreign text={path} />
    </a>
  );
}

/** A card with a heading. */
export function Card(
  { title, id, note, children }: { title: string; id: string; note?: Child; children?: Child },
) {
  return (
    <section class="card" aria-labelledby={`${id}-title`}>
      <header class="card-head">
        <h2 id={`${id}-title`}>{title}</h2>
        {note === undefined ? "" : <div class="note">{note}</div>}
      </header>
      {children}
    </section>
  );
}

/** A table that scrolls by itself where it is too wide. */
export function Table(
  { caption, head, children }: { caption: string; head: readonly (string | Column)[]; children?: Child },
) {
  const columns = head.map((column) => typeof column === "string" ? { name: column } : column);
  return (
    <div class="wide" tabindex={0} role="region" aria-label={`Table: ${caption}`}>
      <table>
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map(({ name, number }) => (
              <th scope="col" class={number ? "number" : undefined}>{name}</th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

/** A column of a table. */
export interface Column {
  name: string;
  /** Whether it holds numbers, which stand to the right. */
  number?: boolean;
}

/** What is said where there is nothing to show. */
export function Nothing({ children }: { children?: Child }) {
  return <p class="nothing">{children}</p>;
}

const KIND_WORDS: Record<string, [word: string, tone: string]> = {
  put: ["put", "good"],
  directory: ["directory", "good"],
  symlink: ["link", "good"],
  move: ["moved", "changed"],
  remove: ["removed", "bad"],
  found: ["found changed", "changed"],
  "found-gone": ["found gone", "changed"],
  replaced: ["replaced", "changed"],
  removed: ["removed", "bad"],
  moved: ["moved", "changed"],
  added: ["added", "good"],
  modified: ["modified", "changed"],
};

/** What happened, in a word. */
export function What({ what }: { what: string }) {
  const [word, tone] = KIND_WORDS[what] ?? [what, "plain"];
  return <span class={`badge ${tone}`}>{word}</span>;
}

/** Some facts by their names, in a list or as a strip of figures across the page. */
export function Facts(
  { of, as = "facts" }: { of: readonly (readonly [name: string, value: Child])[]; as?: "facts" | "strip" },
) {
  return (
    <dl class={as}>
      {of.map(([name, value]) => (
        <div>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** A share of a whole as a bar, with what it means in words. */
export function Bar({ share, label }: { share: number; label: string }) {
  const width = Math.max(0, Math.min(1, Number.isFinite(share) ? share : 0)) * 100;
  return (
    <svg class="bar" viewBox="0 0 100 4" preserveAspectRatio="none" role="img" aria-label={label}>
      <rect class="bar-back" width="100" height="4" />
      <rect class="bar-fill" width={width.toFixed(2)} height="4" />
    </svg>
  );
}

/** Links to the pages before and after. */
export function Pager({ first, next, nextLabel }: { first?: string; next?: string; nextLabel: string }) {
  if (first === undefined && next === undefined) return null;
  return (
    <nav class="pager" aria-label="Pages">
      {first === undefined ? "" : <a href={first}>Back to the beginning</a>}
      {next === undefined ? "" : <a rel="next" href={next}>{nextLabel}</a>}
    </nav>
  );
}
