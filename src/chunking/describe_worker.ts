/**
 * The worker of a `DescribePool`: reads and describes files, many for each message, because a
 * message to and fro takes as long as some ten small files.
 *
 * @module
 */
import { PACKED_CHUNK_BYTES } from "../core/chunk.ts";
import { toFilesyncError } from "../core/errors.ts";
import { type Problem, problemOf } from "../core/problem.ts";
import { chunkingByName } from "./chunker.ts";
import {
  cutFile,
  describeFile,
  digestFile,
  type FileContent,
  type FileDigest,
  type FileRange,
  sizeOfFile,
  SMALL_FILE_BYTES,
} from "./describe.ts";

/** What a worker can find out of a file, by the name of the task. */
export interface Findings {
  /** Without a manifest when there is only one chunk: a small array costs as much as all else in a message. */
  content: FileContent | FileDigest;
  digest: FileDigest;
  /** A packed manifest. */
  cuts: Uint8Array<ArrayBuffer>;
}

/** What a worker is asked. */
export interface DescribeRequest {
  task: keyof Findings;
  chunking: string;
  nativePaths: string[];
  /** What to cut of them, if not all. */
  range?: FileRange;
  /** Whether large files are to be described too, or to be put off. */
  large: boolean;
}

/** What a worker says of one file; `large` is its size when it was put off. */
export type DescribeAnswer = { found: Findings[keyof Findings] } | { problem: Problem } | { large: number };

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

function answer(nativePath: string, request: DescribeRequest): DescribeAnswer {
  try {
    const size = sizeOfFile(nativePath);
    if (size > SMALL_FILE_BYTES && !request.large) return { large: size };
    return { found: find(nativePath, size, request) };
  } catch (error) {
    return { problem: problemOf(toFilesyncError(`read ${JSON.stringify(nativePath)}`, error)) };
  }
}

function find(
  nativePath: string,
  size: number,
  { task, chunking, range }: DescribeRequest,
): Findings[keyof Findings] {
  switch (task) {
    case "content": {
      const { packedManifest, ...whole } = describeFile(nativePath, chunkingByName(chunking), size);
      return packedManifest.length > PACKED_CHUNK_BYTES ? { ...whole, packedManifest } : whole;
    }
    case "digest":
      return digestFile(nativePath, size);
    case "cuts":
      return cutFile(nativePath, chunkingByName(chunking), range, size);
  }
}

/** Only long manifests are worth a transfer. */
function buffersOf(answer: DescribeAnswer): Transferable[] {
  if (!("found" in answer)) return [];
  if (answer.found instanceof Uint8Array) return [answer.found.buffer];
  return "packedManifest" in answer.found ? [answer.found.packedManifest.buffer] : [];
}
