/** Where a served tree lies is no business of those who are served. @module */
import type { BatchResult } from "../transport/receiver.ts";

/** Where a path begins in a message: a name that only ends like the directory's goes on from something else. */
const BEGINNING = String.raw`(?<![^\s"'\`(<[=:,])|(?<=:\/\/)`;

/** Where one ends. */
const END = String.raw`(?=$|[\s"'\`)>\]:;,]|\.(?:\s|$))`;

/** Takes the path of `directory` out of a message: what is in it is named from there. */
export function withoutPlace(message: string, directory: string | undefined): string {
  if (directory === undefined) return message;
  const bare = directory.replace(/\/+$/, "");
  // As it is, and as it stands in quotes.
  const places = [bare, JSON.stringify(bare).slice(1, -1)].map((place) => RegExp.escape(place)).join("|");
  const within = message.replaceAll(new RegExp(`(?:${BEGINNING})(?:${places})/(?!${END})`, "g"), "");
  return bare === ""
    ? within
    : within.replaceAll(new RegExp(`(?:${BEGINNING})(?:${places})/?${END}`, "g"), ".");
}

/** The same for the problems of a batch. */
export function resultWithoutPlace(result: BatchResult, directory: string | undefined): BatchResult {
  if (directory === undefined || result.results.every(({ done }) => done)) return result;
  const results = result.results.map((one) =>
    one.done
      ? one
      : { done: one.done, problem: { ...one.problem, message: withoutPlace(one.problem.message, directory) } }
  );
  return { ...result, results };
}
