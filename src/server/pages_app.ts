/** An application that has pages for people, and nothing else. @module */
import { Hono } from "hono";
import type { Clock } from "../core/clock.ts";
import { createDashboard } from "./dashboard/dashboard.tsx";
import type { Section } from "./dashboard/section.ts";
import { Gate, type GateOptions } from "./gate.ts";
import { securityHeaders } from "./security_headers.ts";

/** Settings of {@linkcode createPagesApp}. */
export interface PagesAppOptions {
  /** What is shown, as people call it. */
  name: string;
  /** The program's version. */
  version: string;
  clock: Clock;
  guard: GateOptions;
  sections: readonly Section[];
  /** Told of failures that are no fault of the request. */
  onFailure?: (error: unknown) => void;
}

/** The application. */
export function createPagesApp({ guard, ...options }: PagesAppOptions): Hono {
  const app = new Hono();
  app.use(securityHeaders());
  app.get("/healthz", (c) => c.json({ status: "ok", version: options.version }));
  app.route("/", createDashboard({ ...options, gate: new Gate(guard, options.clock) }));
  return app;
}
