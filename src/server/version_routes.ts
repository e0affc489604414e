/** `/v1/versions`: what was replaced and removed, and what the tree was before. @module */
import { Hono } from "hono";
import { parseDigest } from "../core/digest.ts";
import { FilesyncError } from "../core/errors.ts";
import { LINES_TYPE, treeAtQuerySchema, versionsQuerySchema } from "../core/wire.ts";
import type { TreeVersions } from "../transport/tree_versions.ts";
import type { RouteContext } from "./app.ts";
import { contentAnswer } from "./content_answer.ts";
import { checked } from "./json_body.ts";
import { lineStream } from "./line_stream.ts";

export function versionRoutes({ receiver }: RouteContext): Hono {
  const app = new Hono();
  const versions = (): TreeVersions => {
    if (receiver.versions !== undefined) return receiver.versions;
    throw new FilesyncError({
      code: "not-found",
      operation: "look for versions",
      reason: "this server keeps none",
      hint: "Start it with filesync serve <dir> --keep",
      permanent: true,
    });
  };

  app.get(
    "/versions",
    checked("query", versionsQuerySchema),
    async (c) => c.json(await versions().list(c.req.valid("query"))),
  );

  app.get("/versions/tree", checked("query", treeAtQuerySchema), async (c) => {
    const { at, under } = c.req.valid("query");
    const entries = versions().treeAt(at, under);
    await receiver.open();
    return c.body(lineStream(entries), 200, { "content-type": LINES_TYPE });
  });

  app.get("/versions/contents/:digest", async (c) => {
    const digest = parseDigest(c.req.param("digest"));
    const size = await versions().sizeOf(digest);
    return await contentAnswer(c, { digest, size }, (range) => versions().read(digest, range));
  });

  return app;
}
