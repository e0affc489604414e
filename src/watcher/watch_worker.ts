/**
 * The Worker in which a tree is watched. Its first message holds the {@linkcode FeedSettings}.
 *
 * @module
 */
/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
import { type FeedSettings, runFeed } from "./feed.ts";

self.onmessage = async ({ data }: MessageEvent<FeedSettings>) => {
  await runFeed(data, (message) => self.postMessage(message));
  self.close();
};
