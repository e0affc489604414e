/** What goes on now: the first page, and that of the clients. @module */
import { Hono } from "hono";
import type { Child } from "hono/jsx";
import type { Clock } from "../../core/clock.ts";
import { grouped } from "../../core/amounts.ts";
import { visible } from "../../core/visible.ts";
import type { Activity, Arrival } from "../activity.ts";
import type { Sessions } from "../sessions.ts";
import { ClientCard, ClientList, ClientName, Problems } from "./client_parts.tsx";
import { type Client, clientsOf } from "./clients.ts";
import { liveRoutes, type Parts } from "./live.ts";
import { Ago, Bytes, Card, Facts, Foreign, Nothing, PathLink, Table, What } from "./parts.tsx";
import type { Shell } from "./section.ts";
import type { ShownTree } from "./shown_tree.ts";
import { Savings, Throughput } from "./traffic.tsx";

/** What the pages show. */
export interface OverviewSources {
  /** What is served, as people call it. */
  name: string;
  clock: Clock;
  tree: ShownTree;
  activity: Activity;
  sessions: Sessions;
}

/** Arrivals that are shown. */
const SHOWN_ARRIVALS = 14;

/** How long the size of the tree is taken for what it was, milliseconds. */
const COUNT_AGAIN_MS = 10_000;

/** To sum up a million files takes a moment; this part of the time at most. */
const COUNT_SHARE = 0.001;

export function overviewRoutes(sources: OverviewSources, shell: Shell): Hono {
  const { name, clock, activity, sessions } = sources;
  const countTree = remembered(sources);
  const clients = () => clientsOf(sessions.list(), clock.now());
  const app = new Hono();

  const overview = async () => {
    const now = clock.now();
    const all = clients();
    return {
      now: <Now tree={await countTree()} activity={activity} clients={all} />,
      throughput: <Throughput activity={activity} now={now} />,
      arrivals: <Arrivals arrivals={activity.arrivals.slice(0, SHOWN_ARRIVALS)} now={now} />,
      clients: <ClientList clients={all} now={now} />,
      troubles: <Troubles clients={all} now={now} />,
      savings: <Savings activity={activity} />,
    };
  };
  const cards = () => ({ cards: <ClientCards clients={clients()} now={clock.now()} /> });

  app.get("/", shell.guard, async (c) => {
    const parts = await overview();
    const body = (
      <>
        <h1>
          <Foreign text={name} />
        </h1>
        <Part id="now">{parts.now}</Part>
        <div class="grid">
          <div class="column">
            <Card id="throughput" title="Arriving now">
              <Part id="throughput">{parts.throughput}</Part>
            </Card>
            <Card id="arrivals" title="Last changes" note={<a href="/history">all of them</a>}>
              <Part id="arrivals">{parts.arrivals}</Part>
            </Card>
          </div>
          <div class="column">
            <Card id="clients" title="Clients" note={<a href="/clients">more of each</a>}>
              <Part id="clients">{parts.clients}</Part>
            </Card>
            <Card id="troubles" title="Problems">
              <Part id="troubles">{parts.troubles}</Part>
            </Card>
            <Card id="savings" title="Sent and stored">
              <Part id="savings">{parts.savings}</Part>
            </Card>
          </div>
        </div>
      </>
    );
    return shell.show(c, { title: "Overview", section: "/", live: "/live?of=overview", body });
  });

  app.get("/clients", shell.guard, (c) => {
    const body = (
      <>
        <h1>Clients</h1>
        <Part id="cards">{cards().cards}</Part>
      </>
    );
    return shell.show(c, { title: "Clients", section: "/clients", live: "/live?of=clients", body });
  });

  const pages = {
    overview: async () => toParts(await overview()),
    // deno-lint-ignore require-await
    clients: async () => toParts(cards()),
  };
  app.route("/", liveRoutes(clock, pages, shell));
  return app;
}

/** A part of a page that is sent again when it changes. */
function Part({ id, children }: { id: string; children?: Child }) {
  return <div id={`part-${id}`}>{children}</div>;
}

function toParts(parts: Record<string, { toString(): string }>): Parts {
  return Object.fromEntries(Object.entries(parts).map(([id, part]) => [`part-${id}`, part.toString()]));
}

/** The size of the tree, asked for now and then only; unknown until it has been read. */
function remembered(
  { tree, clock }: OverviewSources,
): () => Promise<{ entries: number; bytes: number } | undefined> {
  let known: { entries: number; bytes: number } | undefined;
  let [at, took] = [-Infinity, 0];
  return async () => {
    const began = clock.now();
    if (Math.abs(began - at) < Math.max(COUNT_AGAIN_MS, took / COUNT_SHARE)) return known;
    try {
      known = await tree.count();
      at = clock.now();
      took = at - began;
    } catch {
      // It is being read.
    }
    return known;
  };
}

function Now(
  { tree, activity, clients }: {
    tree: { entries: number; bytes: number } | undefined;
    activity: Activity;
    clients: readonly Client[];
  },
) {
  const problems = clients.reduce((sum, { told }) => sum + (told?.problemCount ?? 0), 0);
  const waiting = clients.reduce((sum, { told }) => sum + (told?.waiting.actions ?? 0), 0);
  const awake = clients.filter(({ state }) => state !== "silent").length;
  const figures: [name: string, value: Child][] = [
    ["entries here", tree === undefined ? "being read" : grouped(tree.entries)],
    ["in all", tree === undefined ? "–" : <Bytes of={tree.bytes} />],
    ["changes since the start", grouped(activity.totals.changes)],
    ["clients connected", grouped(awake)],
    ["changes that wait", grouped(waiting)],
    ["problems", <span class={problems > 0 ? "bad-ink" : undefined}>{grouped(problems)}</span>],
  ];
  return <Facts of={figures} as="strip" />;
}

function Arrivals({ arrivals, now }: { arrivals: readonly Arrival[]; now: number }) {
  if (arrivals.length === 0) return <Nothing>Nothing has changed since the server started.</Nothing>;
  return (
    <Table caption="Last changes" head={["when", "what", "path", { name: "size", number: true }, "from"]}>
      {arrivals.map((arrival) => (
        <tr>
          <td>
            <Ago at={"record" in arrival ? arrival.record.time : arrival.time} now={now} />
          </td>
          {"record" in arrival
            ? (
              <>
                <td>
                  <What what={arrival.record.what} />
                </td>
                <td class="path">
                  <PathLink path={arrival.record.path} />
                </td>
                <td class="number">
                  {arrival.record.size === undefined ? "" : <Bytes of={arrival.record.size} />}
                </td>
              </>
            )
            : (
              <>
                <td>
                  <span class="badge bad">problem</span>
                </td>
                <td class="path" colspan={2}>
                  <Foreign text={arrival.problem.message} />
                </td>
              </>
            )}
          <td class="soft" title={visible(arrival.client)}>
            <Foreign text={machineOf(arrival.client)} />
          </td>
        </tr>
      ))}
    </Table>
  );
}

/** Of `user@host:/directory` what comes before the directory. */
function machineOf(client: string): string {
  const [machine] = client.split(":/");
  return machine.length > 32 ? `${machine.slice(0, 31)}…` : machine;
}

function Troubles({ clients, now }: { clients: readonly Client[]; now: number }) {
  const troubled = clients.filter(({ told }) => told !== undefined && told.problemCount > 0);
  if (troubled.length === 0) return <Nothing>No client has a problem.</Nothing>;
  return (
    <>
      {troubled.slice(0, 5).map(({ name, told }) => (
        <>
          <h3>
            <ClientName name={name} />
          </h3>
          <Problems {...{ ...told!, problems: told!.problems.slice(0, 4), now }} />
        </>
      ))}
    </>
  );
}

function ClientCards({ clients, now }: { clients: readonly Client[]; now: number }) {
  if (clients.length === 0) return <ClientList clients={clients} now={now} />;
  return (
    <div class="cards">{clients.slice(0, 200).map((client) => <ClientCard client={client} now={now} />)}</div>
  );
}
