/**
 * The worker of a `DescribePool`: reads and describes files, many for each message, because a
 * message to and fro takes as long as some ten small files.
 *
 * @module
 */
import { toFilesyncError } from "../core/errors.ts";
import { type Problem, problemOf } from "../core/problem.ts";
import { chunkingByName } from "./chunker.ts";
import { describeFile, type FileContent, SMALL_FILE_BYTES } from "./describe.ts";

/** What a worker is asked. */
export interface DescribeRequest {
  chunking: string;
  nativePaths: string[];
  /** Whether large files are to be described too, or to be put off. */
  large: boolean;
}

/** What a worker says of one file; `"large"` when it was put off. */
export type DescribeAnswer = { content: FileContent } | { problem: Problem } | "large";

interface WorkerScope {
  onmessage: (event: MessageEvent<DescribeRequest>) => void;
  /** One answer for each path, in order. */
  postMessage(answers: DescribeAnswer[], transfer: Transferable[]): void;
}

const scope = self as unknown as WorkerScope;

scope.onmessage = ({ data }) => {
  const answers = data.nativePaths.map((path) => answer(path, data));
  scope.postMessage(answers, data.large ? answers.flatMap(buffersOf) : []);
};

function answer(nativePath: string, { chunking, large }: DescribeRequest): DescribeAnswer {
  try {
    if (!large && Deno.statSync(nativePath).size > SMALL_FILE_BYTES) return "large";
    return { content: describeFile(nativePath, chunkingByName(chunking)) };
  } catch (error) {
    return { problem: problemOf(toFilesyncError(`read ${JSON.stringify(nativePath)}`, error)) };
  }
}

/** Only long manifests are worth a transfer. */
function buffersOf(answer: DescribeAnswer): Transferable[] {
  return answer !== "large" && "content" in answer ? [answer.content.packedManifest.buffer] : [];
}
