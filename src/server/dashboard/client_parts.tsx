/** Clients, and what they told of themselves. @module */
import { count, formatBytes, formatDuration, grouped } from "../../core/amounts.ts";
import type { ClientProblem } from "../../core/client_status.ts";
import { nextStep } from "../../core/errors.ts";
import type { ToldStatus } from "../sessions.ts";
import type { Client, ClientState } from "./clients.ts";
import { Ago, Bar, Bytes, Facts, Foreign, Nothing, Time } from "./parts.tsx";

const TONES: Record<ClientState, string> = {
  "in step": "good",
  busy: "changed",
  "has problems": "bad",
  silent: "plain",
  connected: "plain",
};

/** All of them, in short. */
export function ClientList({ clients, now }: { clients: readonly Client[]; now: number }) {
  if (clients.length === 0) {
    return <Nothing>No client was heard of in the last hour. Start one with filesync watch.</Nothing>;
  }
  return (
    <ul class="clients">
      {clients.slice(0, 50).map(({ name, state, lastSeen, told }) => (
        <li>
          <div class="card-head">
            <a class="path" href={`/clients#${anchorOf(name)}`}>
              <ClientName name={name} />
            </a>
            <State state={state} />
          </div>
          <p class="note">
            seen <Ago at={lastSeen} now={now} />
            {told === undefined ? "" : `, ${waitingText(told)}, ${count(told.problemCount, "problem")}`}
          </p>
          {told === undefined ? "" : <UnderWay told={told} />}
        </li>
      ))}
    </ul>
  );
}

/** All of one client. */
export function ClientCard({ client, now }: { client: Client; now: number }) {
  const { name, state, version, since, lastSeen, told, receivedBytes, storedBytes } = client;
  const id = anchorOf(name);
  return (
    <section class="card" id={id} aria-labelledby={`${id}-title`}>
      <header class="card-head">
        <h2 id={`${id}-title`}>
          <ClientName name={name} />
        </h2>
        <State state={state} />
      </header>
      <Facts
        of={[
          ["last seen", <Ago at={lastSeen} now={now} />],
          ["connected since", <Time at={since} />],
          ["version", <Foreign text={version || "unknown"} />],
          ["queue", told === undefined ? "not told" : waitingText(told)],
          ["sent", <Bytes of={receivedBytes} />],
          ["files put", <Bytes of={storedBytes} />],
        ]}
      />
      {told === undefined ? "" : <Told told={told} now={now} />}
    </section>
  );
}

/** How far it is with what it does now. */
function UnderWay({ told }: { told: ToldStatus }) {
  const { progress, waiting } = told;
  if (progress === undefined || waiting.actions === 0 || progress.doneItems >= progress.totalItems) {
    return null;
  }
  const { doneItems, totalItems, doneBytes, totalBytes, current } = progress;
  return (
    <div class="progress">
      <Bar
        share={totalBytes > 0 ? doneBytes / totalBytes : doneItems / totalItems}
        label={`${grouped(doneItems)} of ${count(totalItems, "change")} done`}
      />
      <p class="note">
        {grouped(doneItems)} of {count(totalItems, "change")}, {formatBytes(doneBytes)} of{" "}
        {formatBytes(totalBytes)}
        {current === undefined ? "" : (
          <>
            : <Foreign text={current} />
          </>
        )}
      </p>
    </div>
  );
}

function waitingText({ waiting: { actions, bytes } }: ToldStatus): string {
  if (actions === 0) return "nothing waits";
  return `${count(actions, "change")} ${actions === 1 ? "waits" : "wait"} (${formatBytes(bytes)})`;
}

function Told({ told, now }: { told: ToldStatus; now: number }) {
  const { brake, problems, problemCount } = told;
  return (
    <>
      <UnderWay told={told} />
      {brake === undefined ? "" : (
        <p class="alert bad">
          Nothing is removed here: <Foreign text={brake} />. If that is meant, run filesync watch once with
          {" "}
          --allow-mass-delete.
        </p>
      )}
      {problems.length === 0 ? "" : <Problems {...{ problems, problemCount, at: told.at, now }} />}
    </>
  );
}

/** What could not be done, why, and when it is tried again. */
export function Problems(
  { problems, problemCount, at, now }: {
    problems: readonly ClientProblem[];
    problemCount: number;
    at: number;
    now: number;
  },
) {
  return (
    <>
      <ul class="problems">
        {problems.map((problem) => (
          <li>
            {problem.path === undefined || problem.message.includes(problem.path) ? "" : (
              <b class="path">
                <Foreign text={problem.path} />
              </b>
            )}
            <span class="path">
              <Foreign text={problem.message} />
            </span>
            <small>
              <Foreign text={nextStep(problem)} />
              {nextTry(problem, at, now)}
            </small>
          </li>
        ))}
      </ul>
      {problemCount > problems.length
        ? <p class="note">And {grouped(problemCount - problems.length)} more: run filesync status there.</p>
        : ""}
    </>
  );
}

function nextTry({ retryIn, attempts }: ClientProblem, at: number, now: number): string {
  const tries = attempts === undefined || attempts === 0 ? "" : `, tried ${count(attempts, "time")}`;
  if (retryIn === undefined) return `${tries}; tried again when something changes`;
  const left = at + retryIn - now;
  return `${tries}; next try ${left < 1_000 ? "now" : `in ${formatDuration(left)}`}`;
}

function State({ state }: { state: ClientState }) {
  return <span class={`badge ${TONES[state]}`}>{state}</span>;
}

/** How a client is called. */
export function ClientName({ name }: { name: string }) {
  return name === "" ? <>without a name</> : <Foreign text={name} />;
}

/** A name that may stand in an address, whatever the client calls itself. */
function anchorOf(name: string): string {
  let hash = 0;
  for (let i = 0; i < name.length; i++) hash = (hash * 31 + name.charCodeAt(i)) >>> 0;
  return `client-${hash.toString(36)}`;
}
