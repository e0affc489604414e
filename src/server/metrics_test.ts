import { assert, assertEquals, assertMatch } from "@std/assert";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { serveTree } from "../../tests/support/subjects.ts";

/** The samples of a text in Prometheus' format, checked for its form. */
function samplesOf(text: string): Map<string, number> {
  assert(text.endsWith("\n"));
  const types = new Map<string, string>();
  const samples = new Map<string, number>();
  for (const line of text.trimEnd().split("\n")) {
    const type = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line);
    if (type !== null) types.set(type[1], type[2]);
    else if (!line.startsWith("# HELP ")) {
      const sample = /^([a-z_]+)(\{(?:[a-z]+="(?:[^"\\]|\\.)*",?)+\})? (-?[\d.e+]+)$/.exec(line);
      assert(sample !== null, line);
      assert(types.has(sample[1].replace(/_(bucket|sum|count)$/, "")) || types.has(sample[1]), line);
      samples.set(sample[1] + (sample[2] ?? ""), Number(sample[3]));
    }
  }
  return samples;
}

Deno.test("GET /metrics counts requests, bytes, batches and problems", async () => {
  await using served = await serveTree({
    clock: new FakeClock(),
    gauges: () => [["filesync_index_entries", "Entries known.", 17]],
  });
  const done = async (method: string, path: string, init?: RequestInit) =>
    await (await served.request(method, path, init)).body?.cancel();
  await done("PUT", "/v1/files/a", { body: "12345" });
  await done("PUT", "/v1/directories/a");
  await done("GET", "/v1/files/missing");
  await done("GET", `/v1/${"x".repeat(50)}`);
  await done("BREW", "/anything");
  await done("POST", "/v1/sessions", {
    body: JSON.stringify({ protocol: 1 }),
    headers: { "content-type": "application/json" },
  });
  const response = await served.request("GET", "/metrics");
  assertMatch(response.headers.get("content-type")!, /^text\/plain; version=0\.0\.4/);
  const samples = samplesOf(await response.text());
  const value = (key: string) => samples.get(key);
  assertEquals(value('filesync_build_info{version="1.2.3"}'), 1);
  assertEquals(value('filesync_requests_total{method="PUT",route="/v1/files",status="200"}'), 1);
  assertEquals(value('filesync_requests_total{method="GET",route="/v1/files",status="404"}'), 1);
  assertEquals(value('filesync_requests_total{method="GET",route="other",status="404"}'), 1);
  assertEquals(value('filesync_requests_total{method="other",route="other",status="404"}'), 1);
  assertEquals(value("filesync_received_bytes_total"), 5 + JSON.stringify({ protocol: 1 }).length);
  assertEquals(value("filesync_stored_bytes_total"), 5);
  assertEquals(value("filesync_batches_total"), 2);
  assertEquals(value('filesync_actions_total{action="put"}'), 1);
  assertEquals(value('filesync_problems_total{code="conflict"}'), 1);
  assertEquals(value('filesync_request_seconds_count{route="/v1/files"}'), 2);
  assertEquals(value('filesync_request_seconds_bucket{route="/v1/files",le="+Inf"}'), 2);
  assertEquals(value("filesync_sessions"), 1);
  assertEquals(value("filesync_index_entries"), 17);
});

Deno.test("GET /metrics does not grow with what strangers ask for", async () => {
  await using served = await serveTree();
  for (let i = 0; i < 300; i++) {
    for (const path of [`/v1/a${"b".repeat(i)}`, `/${"c".repeat(i)}`, `/v1/files/${i}`]) {
      await (await served.app.fetch(new Request(`http://x.test${path}`))).body?.cancel();
    }
  }
  const text = await (await served.request("GET", "/metrics")).text();
  assert(text.length < 6_000, text);
});
