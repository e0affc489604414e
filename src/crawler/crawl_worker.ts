/**
 * The worker of a crawl. It walks directories or takes the fingerprints of files, a share of the work for each
 * message.
 *
 * @module
 */
import { toFilesyncError } from "../core/errors.ts";
import { type Problem, problemOf } from "../core/problem.ts";
import { type Fingerprint, fingerprintFile } from "./fingerprint.ts";
import { type Task, type Walked, Walker, type WalkOptions } from "./walker.ts";

/** What a worker is asked. The first request of walking says what is walked. */
export type CrawlRequest =
  | { type: "open"; options: WalkOptions }
  | { type: "walk"; tasks: Task[]; shallow: boolean }
  | { type: "fingerprint"; paths: string[] };

/** What it answers; opening is not answered unless it fails. */
export type CrawlAnswer =
  | { walked: Walked }
  | { fingerprints: (Fingerprint | Problem)[] }
  | { problem: Problem };

const scope = self as unknown as {
  onmessage: (event: MessageEvent<CrawlRequest>) => void;
  postMessage(answer: CrawlAnswer, transfer?: Transferable[]): void;
};

let walker: Walker | undefined;
let root = "";

scope.onmessage = ({ data }) => {
  try {
    switch (data.type) {
      case "open":
        root = data.options.root;
        walker = new Walker(data.options);
        return;
      case "walk": {
        const walked = walker!.walk(data.tasks, data.shallow);
        scope.postMessage({ walked }, [walked.packed.buffer]);
        return;
      }
      case "fingerprint":
        scope.postMessage({ fingerprints: data.paths.map(fingerprintOrProblem) });
    }
  } catch (error) {
    scope.postMessage({ problem: problemOf(toFilesyncError(`walk "${root || "/"}"`, error)) });
  }
};

function fingerprintOrProblem(path: string): Fingerprint | Problem {
  try {
    return fingerprintFile(path);
  } catch (error) {
    return problemOf(toFilesyncError(`read ${JSON.stringify(path)}`, error), path);
  }
}
