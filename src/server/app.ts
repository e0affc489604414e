/**
 * The HTTP skin over a receiver: version 1 of the wire protocol. It knows
 * nothing of disks; whatever it is asked, it checks, and asks the receiver.
 *
 * @module
 */
import { Hono, type MiddlewareHandler } from "hono";
import type { Clock } from "../core/clock.ts";
import { FilesyncError } from "../core/errors.ts";
import { SESSION_HEADER } from "../core/wire.ts";
import type { Batch, BatchResult, Receiver } from "../transport/receiver.ts";
import { Activity } from "./activity.ts";
import { bearerGuard } from "./bearer_guard.ts";
import { contentRoutes } from "./content_routes.ts";
import { createDashboard } from "./dashboard/dashboard.tsx";
import type { Section } from "./dashboard/section.ts";
import type { ShownTree } from "./dashboard/shown_tree.ts";
import { treeSection } from "./dashboard/tree_section.ts";
import { deltaRoutes } from "./delta_routes.ts";
import { entryRoutes } from "./entry_routes.ts";
import { Gate, type GateOptions } from "./gate.ts";
import { problemResponse } from "./problem_document.ts";
import { pullRoutes } from "./pull_routes.ts";
import { repeatRequestName } from "./repeat_request_name.ts";
import { securityHeaders } from "./security_headers.ts";
import { RECEIVED } from "./request_body.ts";
import { sessionRoutes } from "./session_routes.ts";
import { type Gauge, Metrics, METRICS_TYPE } from "./metrics.ts";
import { type Session, Sessions } from "./sessions.ts";
import { statusRoutes } from "./status_routes.ts";
import { treeRoutes } from "./tree_routes.ts";
import { resultWithoutPlace } from "./untold_place.ts";
import { versionRoutes } from "./version_routes.ts";

/** Settings of {@linkcode createApp}. */
export interface AppOptions {
  clock: Clock;
  guard: GateOptions;
  /** The program's version. */
  version: string;
  /** The directory that is served: its path is in no answer. */
  place?: string;
  /** Told of every batch that was applied. */
  onBatch?: (batch: Batch, result: BatchResult, session: Session | undefined) => void;
  /** Values of now for `/metrics`, by their names. */
  gauges?: () => Iterable<Gauge>;
  /** Pages for people. @default {none} */
  dashboard?: DashboardPages;
  /** Told of failures that are no fault of the request. */
  onFailure?: (error: unknown) => void;
}

/** What pages for people show. */
export interface DashboardPages {
  /** What is served, as people call it. */
  name: string;
  tree: ShownTree;
  /** Pages beside those of the tree. */
  more?: readonly Section[];
}

/** What the routes are made from. */
export interface RouteContext extends AppOptions {
  receiver: Receiver;
  sessions: Sessions;
  activity: Activity;
  gate: Gate;
  /** Applies a batch and tells of it. */
  apply: (batch: Batch, sessionId: string | undefined) => Promise<BatchResult>;
}

/** The application that serves `receiver`. */
export function createApp(receiver: Receiver, options: AppOptions): Hono {
  const sessions = new Sessions(options.clock);
  const metrics = new Metrics(options.version);
  const activity = new Activity(options.clock);
  const gate = new Gate(options.guard, options.clock);
  const context: RouteContext = {
    ...options,
    receiver,
    sessions,
    activity,
    gate,
    async apply(batch, sessionId) {
      const result = await receiver.apply(batch);
      metrics.countBatch(batch, result);
      const session = sessions.heard(sessionId);
      activity.applied(batch, result, session);
      options.onBatch?.(batch, result, session);
      return resultWithoutPlace(result, options.place);
    },
  };
  const app = new Hono();
  app.use(metrics.middleware(options.clock, () => app.routes));
  app.use(securityHeaders());
  app.use(repeatRequestName());
  app.get("/healthz", (c) => c.json({ status: "ok", version: options.version }));
  const guard = bearerGuard(gate);
  app.get("/metrics", guard, (c) => {
    const gauges = [
      ["filesync_sessions", "Clients heard of in the last hour.", sessions.count()],
      ...options.gauges?.() ?? [],
    ] as const;
    return c.body(metrics.text(gauges), 200, { "content-type": METRICS_TYPE });
  });
  app.use("/v1/*", guard);
  const hearClient: MiddlewareHandler = async function hearClient(c, next) {
    const session = sessions.heard(c.req.header(SESSION_HEADER));
    await next();
    activity.received(c.get(RECEIVED) ?? 0, session);
  };
  app.use("/v1/*", hearClient);
  app.route("/v1", sessionRoutes(context));
  app.route("/v1", contentRoutes(context));
  app.route("/v1", deltaRoutes(context));
  app.route("/v1", pullRoutes(context));
  app.route("/v1", entryRoutes(context));
  app.route("/v1", treeRoutes(context));
  app.route("/v1", versionRoutes(context));
  app.route("/v1", statusRoutes(context));
  if (options.dashboard !== undefined) {
    const { name, tree, more = [] } = options.dashboard;
    const sections = [treeSection(context, name, tree), ...more];
    app.route("/", createDashboard({ ...options, name, gate, sections }));
  }
  app.notFound((c) =>
    problemResponse(
      new FilesyncError({
        code: "not-found",
        operation: `${c.req.method} ${new URL(c.req.url).pathname.slice(0, 200)}`,
        reason: "there is no such route",
        hint: "Check the path in the address; if it is right, use the same version of filesync on both sides",
        permanent: true,
      }),
    )
  );
  app.onError((error) => {
    const response = problemResponse(error, options.place);
    if (response.status >= 500 && response.status !== 503) options.onFailure?.(error);
    return response;
  });
  return app;
}
