/** Who pushes here, as people see it: one client may have had many sessions. @module */
import type { Session, ToldStatus } from "../sessions.ts";

/** A client. */
export interface Client extends Omit<Session, "id" | "client"> {
  /** How it names itself. */
  name: string;
  state: ClientState;
}

/** `in step`: nothing waits. `silent`: it should have been heard of, and was not. */
export type ClientState = "in step" | "busy" | "has problems" | "silent" | "connected";

/** A client tells of itself every minute, even when nothing happens; after so long without it is silent, milliseconds. */
const SILENT_MS = 150_000;

/** The clients behind `sessions`, who was heard of last first. */
export function clientsOf(sessions: readonly Session[], now: number): Client[] {
  const byName = new Map<string, Session[]>();
  for (const session of sessions) {
    const group = byName.get(session.client);
    if (group === undefined) byName.set(session.client, [session]);
    else group.push(session);
  }
  const clients = [...byName].flatMap(([name, group]): Client[] => {
    const newest = group.reduce((a, b) => b.lastSeen >= a.lastSeen ? b : a);
    const sum = (key: "receivedBytes" | "storedBytes") => group.reduce((sum, one) => sum + one[key], 0);
    const [receivedBytes, storedBytes] = [sum("receivedBytes"), sum("storedBytes")];
    // Programs that only asked something have no name.
    if (name === "" && receivedBytes === 0) return [];
    const { version, lastSeen } = newest;
    const told = group.reduce<ToldStatus | undefined>(
      (last, { told }) => last === undefined || (told !== undefined && told.at > last.at) ? told : last,
      undefined,
    );
    const since = Math.min(...group.map(({ since }) => since));
    const client = { name, version, since, lastSeen, receivedBytes, storedBytes };
    return [{ ...client, ...(told === undefined ? {} : { told }), state: stateOf(told, lastSeen, now) }];
  });
  return clients.sort((a, b) => b.lastSeen - a.lastSeen);
}

function stateOf(told: ToldStatus | undefined, lastSeen: number, now: number): ClientState {
  if (now - lastSeen > SILENT_MS) return "silent";
  if (told === undefined) return "connected";
  if (told.problemCount > 0 || told.brake !== undefined) return "has problems";
  return told.waiting.actions > 0 ? "busy" : "in step";
}
