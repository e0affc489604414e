import { assertEquals, assertStringIncludes } from "@std/assert";
import { noAnswer } from "./no_answer.ts";

/** What is said of a request to `url`. */
async function saidOf(url: string): Promise<string> {
  // As the program's clients do it.
  using client = Deno.createHttpClient({ http2: false });
  try {
    await (await fetch(url, { client })).body?.cancel();
  } catch (error) {
    const { reason, hint } = noAnswer(error);
    return `${reason} | ${hint}`;
  }
  return "an answer";
}

Deno.test("noAnswer() tells what is wrong with the address", async () => {
  await using plain = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response());
  const { port } = plain.addr;
  assertEquals(await saidOf(`http://127.0.0.1:${port}`), "an answer");
  assertStringIncludes(
    await saidOf(`https://127.0.0.1:${port}`),
    "speaks no TLS | If it was started without",
  );
  assertStringIncludes(await saidOf("http://127.0.0.1:6000"), "never use that port");
  assertStringIncludes(await saidOf("http://dns.certificate.invalid"), "the host name is not known | Check");
});

Deno.test("noAnswer() tells of a server that speaks another protocol, or hangs up", async () => {
  for (
    const [greeting, scheme, said] of [
      ["SSH-2.0-x\r\n", "http", "speaks no plain HTTP | If it was started with --tls"],
      ["", "http", "the connection broke | Check"],
      ["", "https", "the connection broke | Check"],
    ]
  ) {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const answering = (async () => {
      using connection = await listener.accept();
      await connection.write(new TextEncoder().encode(greeting));
    })();
    assertStringIncludes(await saidOf(`${scheme}://127.0.0.1:${listener.addr.port}`), said);
    await answering;
  }
});

Deno.test("noAnswer() takes no word of the address for the cause", () => {
  const cause = new Error("error sending request for url (https://tls.example/dns): connection closed");
  assertEquals(noAnswer(new TypeError("fetch failed", { cause })).reason, "the connection broke");
});

Deno.test("noAnswer() understands node's client", () => {
  const reasons = ["connect ECONNREFUSED 127.0.0.1:1", "getaddrinfo ENOTFOUND x", "connect EHOSTUNREACH"]
    .map((message) => noAnswer(new Error(message)).reason);
  assertEquals(reasons, [
    "nothing listens there (connection refused)",
    "the host name is not known",
    "there is no network to it",
  ]);
});
