/**
 * The HTTP skin over a receiver: version 1 of the wire protocol. It knows
 * nothing of disks; whatever it is asked, it checks, and asks the receiver.
 *
 * @module
 */
import { Hono } from "hono";
import type { Clock } from "../core/clock.ts";
import { FilesyncError } from "../core/errors.ts";
import { SESSION_HEADER } from "../core/wire.ts";
import type { Batch, BatchResult, Receiver } from "../transport/receiver.ts";
import { bearerGuard, type BearerGuardOptions } from "./bearer_guard.ts";
import { contentRoutes } from "./content_routes.ts";
import { deltaRoutes } from "./delta_routes.ts";
import { entryRoutes } from "./entry_routes.ts";
import { problemResponse } from "./problem_document.ts";
import { pullRoutes } from "./pull_routes.ts";
import { repeatRequestName } from "./repeat_request_name.ts";
import { securityHeaders } from "./security_headers.ts";
import { sessionRoutes } from "./session_routes.ts";
import { type Gauge, Metrics, METRICS_TYPE } from "./metrics.ts";
import { type Session, Sessions } from "./sessions.ts";
import { treeRoutes } from "./tree_routes.ts";
import { resultWithoutPlace } from "./untold_place.ts";
import { versionRoutes } from "./version_routes.ts";

/** Settings of {@linkcode createApp}. */
export interface AppOptions {
  clock: Clock;
  guard: BearerGuardOptions;
  /** The program's version. */
  version: string;
  /** The directory that is served: its path is in no answer. */
  place?: string;
  /** Told of every batch that was applied. */
  onBatch?: (batch: Batch, result: BatchResult, session: Session | undefined) => void;
  /** Values of now for `/metrics`, by their names. */
  gauges?: () => Iterable<Gauge>;
  /** Told of failures that are no fault of the request. */
  onFailure?: (error: unknown) => void;
}

/** What the routes are made from. */
export interface RouteContext extends AppOptions {
  receiver: Receiver;
  sessions: Sessions;
  /** Applies a batch and tells of it. */
  apply: (batch: Batch, sessionId: string | undefined) => Promise<BatchResult>;
}

/** The application that serves `receiver`. */
export function createApp(receiver: Receiver, options: AppOptions): Hono {
  const sessions = new Sessions(options.clock);
  const metrics = new Metrics(options.version);
  const context: RouteContext = {
    ...options,
    receiver,
    sessions,
    async apply(batch, sessionId) {
      const result = await receiver.apply(batch);
      metrics.countBatch(batch, result);
      options.onBatch?.(batch, result, sessions.heard(sessionId));
      return resultWithoutPlace(result, options.place);
    },
  };
  const app = new Hono();
  app.use(metrics.middleware(options.clock, () => app.routes));
  app.use(securityHeaders());
  app.use(repeatRequestName());
  app.get("/healthz", (c) => c.json({ status: "ok", version: options.version }));
  const guard = bearerGuard(options.guard, options.clock);
  app.get("/metrics", guard, (c) => {
    const gauges = [
      ["filesync_sessions", "Clients heard of in the last hour.", sessions.count()],
      ...options.gauges?.() ?? [],
    ] as const;
    return c.body(metrics.text(gauges), 200, { "content-type": METRICS_TYPE });
  });
  app.use("/v1/*", guard);
  app.use("/v1/*", async function hearClient(c, next) {
    sessions.heard(c.req.header(SESSION_HEADER));
    await next();
  });
  app.route("/v1", sessionRoutes(context));
  app.route("/v1", contentRoutes(context));
  app.route("/v1", deltaRoutes(context));
  app.route("/v1", pullRoutes(context));
  app.route("/v1", entryRoutes(context));
  app.route("/v1", treeRoutes(context));
  app.route("/v1", versionRoutes(context));
  app.notFound((c) =>
    problemResponse(
      new FilesyncError({
        code: "not-found",
        operation: `${c.req.method} ${new URL(c.req.url).pathname.slice(0, 200)}`,
        reason: "there is no such route",
        hint: "A newer client may have asked: use the same version of filesync on both sides",
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
