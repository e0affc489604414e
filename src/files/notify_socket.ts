/**
 * What a service manager of Linux wants of the C library beside {@link "./libc.ts"}: datagrams to a socket
 * of the file system or the abstract namespace, which Deno itself only receives with an unstable flag, and
 * the clock that such messages are stamped with.
 *
 * @module
 */

const CALLS = {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "isize" },
  close: { parameters: ["i32"], result: "i32" },
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;
const CLOCK_MONOTONIC = 1;
/** `sun_path` of `struct sockaddr_un`. */
const PATH_BYTES = 108;

/** A way to a socket, and its clock. */
export interface NotifySocket extends Disposable {
  /** Sends `text` as one datagram. Never throws: nobody who listens is no reason to stop working. */
  send(text: string): void;
  /** Microseconds of the system's monotonic clock. */
  monotonic(): bigint;
}

/**
 * `struct sockaddr_un` of `address`: a path, or a name of the abstract namespace after `@`. `undefined`
 * when it is neither, or too long.
 */
export function unixAddress(address: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[/@]./.test(address)) return undefined;
  const name = new TextEncoder().encode(address);
  // A path is ended by NUL; an abstract name begins with it and ends where the address does.
  const isAbstract = address.startsWith("@");
  if (name.length + (isAbstract ? 0 : 1) > PATH_BYTES) return undefined;
  const bytes = new Uint8Array(2 + name.length + (isAbstract ? 0 : 1));
  new DataView(bytes.buffer).setUint16(0, AF_UNIX, true);
  bytes.set(name, 2);
  if (isAbstract) bytes[2] = 0;
  return bytes;
}

/** Opens a way to the socket at `address`; `undefined` where there is none. */
export function openNotifySocket(address: string): NotifySocket | undefined {
  const to = unixAddress(address);
  if (to === undefined || Deno.build.os !== "linux") return undefined;
  if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") return undefined;
  const library = Deno.dlopen("libc.so.6", CALLS);
  const { socket, sendto, close, clock_gettime } = library.symbols;
  const descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  return {
    send(text) {
      const data = new TextEncoder().encode(text);
      sendto(descriptor, data, BigInt(data.length), MSG_NOSIGNAL, to, to.length);
    },
    monotonic() {
      const time = new BigInt64Array(2);
      clock_gettime(CLOCK_MONOTONIC, time);
      return time[0] * 1_000_000n + time[1] / 1_000n;
    },
    [Symbol.dispose]() {
      if (descriptor >= 0) close(descriptor);
      library.close();
    },
  };
}
