/** One action on its own, for routes that take one. @module */
import type { Action } from "../core/action.ts";
import { errorOf } from "../core/problem.ts";
import type { RouteContext } from "./app.ts";

/** Applies `action` and gives the sequence after it; throws its problem when it has one. */
export async function applyOne(
  context: RouteContext,
  action: Action,
  sessionId: string | undefined,
): Promise<number> {
  const batch = { key: crypto.randomUUID(), actions: [action], contents: new Map() };
  const { after, results: [result] } = await context.apply(batch, sessionId);
  if (!result.done) throw errorOf(result.problem);
  return after;
}
