/** A TCP proxy that counts: what a message is on the wire, whatever client and server speak. */
import { connect, createServer, type AddressInfo, type Socket } from "node:net"

export interface CountingProxy extends AsyncDisposable {
  readonly port: number
  /** Bytes carried so far, in both directions. */
  readonly bytes: () => number
}

/** Listens on a free port and passes everything on to `target`. */
export const startCountingProxy = async (target: number): Promise<CountingProxy> => {
  let bytes = 0
  const sockets = new Set<Socket>()
  const pass = (from: Socket, to: Socket) => {
    sockets.add(from)
    from.setNoDelay(true)
    from.on("data", (chunk: Buffer) => {
      bytes += chunk.length
      to.write(chunk)
    })
    from.on("error", () => to.destroy())
    from.on("close", () => {
      sockets.delete(from)
      to.destroy()
    })
  }
  const server = createServer((near) => {
    const far = connect(target, "127.0.0.1")
    pass(near, far)
    pass(far, near)
  })
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    bytes: () => bytes,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
      })
    },
  }
}
