/** What `filesync sync` was asked to do. @module */
import type { RateAt } from "../core/pace.ts";
import type { SshTarget } from "../sftp/ssh_connection.ts";
import type { Retention } from "../versions/retention.ts";
import type { ConflictPolicy } from "../sync/two_way/decide.ts";
import type { Destination, ServerTrust } from "./destination.ts";

/** What is synced, and how. */
export interface SyncJob {
  /** A real path, whether or not anything stands there. */
  source: string;
  destination: Destination;
  /** Names the destination. */
  name: string;
  /** Where the state of this pair is kept. */
  state: string;
  /** Where versions are kept, and how long. */
  versions?: { directory: string; retention: Retention };
  /** Whether both sides change, and who wins where both did; absent when only the source counts. */
  twoWay?: { conflict: ConflictPolicy };
  /** Milliseconds between rounds. */
  interval?: number;
  watch: boolean;
  dryRun: boolean;
  ignore: string[];
  allowMassDelete: boolean;
  /** Whether to make a backup anew that is gone; `undefined` when it depends. */
  rebuild?: boolean;
  token?: string;
  trust: ServerTrust;
  /** How to log in, when the destination is on an SFTP server. */
  ssh?: SshTarget;
  /** How fast to send at most. */
  limit?: RateAt;
  log?: string;
}
