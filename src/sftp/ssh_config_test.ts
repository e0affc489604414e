import { assertEquals } from "@std/assert";
import { hostConfig, identityPath } from "./ssh_config.ts";

Deno.test("hostConfig() takes the first value of what fits the host", () => {
  const text = `
# a comment
User everybody
Host nas backup.*  # at home
  HostName 192.0.2.7
\tPort=2222
  user = "my self"
Host nas
  HostName too-late.example
  Port 22
`;
  assertEquals(hostConfig(text, "nas"), { hostName: "192.0.2.7", port: 2222, user: "everybody" });
  assertEquals(hostConfig(text.replace("User everybody", ""), "NAS"), {
    hostName: "192.0.2.7",
    port: 2222,
    user: "my self",
  });
  assertEquals(hostConfig(text, "backup.lan").port, 2222);
  assertEquals(hostConfig(text, "backup"), { user: "everybody" });
});

Deno.test("hostConfig() knows wildcards, and patterns that are excepted", () => {
  const text =
    "Host *.example !bad.example\nPort 1\nHost n?s\nPort 2\nHost !nas\nPort 3\nHost *\r\nPort 4\r\n";
  const ports = ["a.example", "bad.example", "nas", "nos", "n.s", "other", "*"].map((host) =>
    hostConfig(text, host).port
  );
  assertEquals(ports, [1, 4, 2, 2, 2, 4, 4]);
});

Deno.test("hostConfig() passes over Match, other keywords, and values that are none", () => {
  const text = `Match user x
  Port 1
Host nas
  ForwardAgent yes
  Include other
  Port many
  Port 70000
  HostName
  Port 5
Match all
  User nobody
  HostName nowhere
`;
  assertEquals(hostConfig(text, "nas"), { port: 5 });
  assertEquals(hostConfig("nonsense\n=\nHost\nPort 1\n", "nas"), {});
});

Deno.test("hostConfig() makes a name of the one that was given", () => {
  assertEquals(hostConfig("Host *\nHostName %h.lan\n", "nas").hostName, "nas.lan");
  assertEquals(hostConfig("HostName 100%%%x\n", "nas").hostName, "100%%x");
});

Deno.test("hostConfig() gathers all keys, or says that there shall be none", () => {
  const text = `Host nas\nIdentityFile ~/.ssh/nas\nHost *\nIdentityFile "/keys/of mine"\n`;
  assertEquals(hostConfig(text, "nas").identityFiles, ["~/.ssh/nas", "/keys/of mine"]);
  assertEquals(hostConfig(text, "box").identityFiles, ["/keys/of mine"]);
  assertEquals(hostConfig("IdentityFile none\n", "nas").identityFiles, []);
  assertEquals(hostConfig("Port 1\n", "nas").identityFiles, undefined);
});

Deno.test("identityPath() knows the home directory and tokens", () => {
  const path = (written: string) => identityPath(written, "/home/$&", { h: "nas", r: "me" });
  assertEquals(path("~/.ssh/%r@%h"), "/home/$&/.ssh/me@nas");
  assertEquals(path("%d/key%%"), "/home/$&/key%");
  assertEquals(path("~other/%C"), "~other/%C");
});
