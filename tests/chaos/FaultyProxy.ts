/**
 * A TCP proxy that does to connections what networks do: it delays, cuts both ways, swallows one direction,
 * stalls, resets, and cuts in the middle of a frame. It knows bytes and no more; what it does, and to whom, it
 * is told.
 */
import { connect, createServer, type AddressInfo, type Socket } from "node:net"

export type Direction = "up" | "down"

/** What may happen to a connection. Times are milliseconds. */
export type Fault =
  /** Both sides see an orderly end. */
  | { readonly kind: "cut" }
  /** Both sides see a reset; what was under way is lost. */
  | { readonly kind: "reset" }
  /** A part of the next chunk of this direction arrives, then both sides see a reset. */
  | { readonly kind: "cut_in_frame"; readonly direction: Direction }
  /** What is sent in this direction goes nowhere from now on; after this time the connection is reset. */
  | { readonly kind: "half_open"; readonly direction: Direction; readonly for: number }
  /** Nothing is read in this direction for this time: its sender sees a slow reader. */
  | { readonly kind: "stall"; readonly direction: Direction; readonly for: number }
  /** Everything arrives later by this from now on. */
  | { readonly kind: "delay"; readonly by: number }

/** One connection through the proxy. */
export interface Link {
  readonly inflict: (fault: Fault) => void
}

export interface FaultyProxy extends AsyncDisposable {
  readonly port: number
  /** Those that are open. */
  readonly links: ReadonlySet<Link>
  /** No connection is let through while there is no port. */
  target: number | undefined
}

interface Lane {
  readonly from: Socket
  readonly to: Socket
  fate: "pass" | "swallow" | "cut_next"
}

const makeLink = (near: Socket, far: Socket): Link => {
  let delay = 0
  const lanes: Readonly<Record<Direction, Lane>> = {
    up: { from: near, to: far, fate: "pass" },
    down: { from: far, to: near, fate: "pass" },
  }
  const reset = (): void => {
    near.resetAndDestroy()
    far.resetAndDestroy()
  }
  const timers = new Set<NodeJS.Timeout>()
  const after = (ms: number, task: () => void): void => {
    const timer = setTimeout(() => {
      timers.delete(timer)
      task()
    }, ms)
    timers.add(timer)
  }
  for (const lane of Object.values(lanes)) {
    const { from, to } = lane
    /** What is delayed, in order: nothing overtakes it. */
    const late: Array<{ readonly chunk: Buffer; readonly at: number }> = []
    const arrive = (): void => {
      while (late.length > 0 && late[0]!.at <= performance.now()) to.write(late.shift()!.chunk)
      if (late.length > 0) after(Math.max(0, late[0]!.at - performance.now()), arrive)
    }
    from.setNoDelay(true)
    from.on("data", (chunk: Buffer) => {
      if (lane.fate === "swallow") return
      if (lane.fate === "cut_next") {
        to.write(chunk.subarray(0, chunk.length >> 1), reset)
        lane.fate = "swallow"
        return
      }
      if (delay === 0 && late.length === 0) return void to.write(chunk)
      late.push({ chunk, at: performance.now() + delay })
      if (late.length === 1) after(delay, arrive)
    })
    from.on("error", () => to.destroy())
    from.on("end", () => to.end())
    from.on("close", () => {
      for (const timer of timers) clearTimeout(timer)
      to.destroy()
    })
  }
  return {
    inflict: (fault) => {
      switch (fault.kind) {
        case "cut":
          near.destroy()
          far.destroy()
          return
        case "reset":
          return reset()
        case "cut_in_frame":
          lanes[fault.direction].fate = "cut_next"
          return
        case "half_open":
          lanes[fault.direction].fate = "swallow"
          return after(fault.for, reset)
        case "stall": {
          const { from } = lanes[fault.direction]
          from.pause()
          return after(fault.for, () => from.resume())
        }
        case "delay":
          delay = fault.by
      }
    },
  }
}

/** Listens on a free port. */
export const startFaultyProxy = async (target: number): Promise<FaultyProxy> => {
  const links = new Set<Link>()
  const sockets = new Set<Socket>()
  let to: number | undefined = target
  const server = createServer((near) => {
    near.on("error", () => {})
    if (to === undefined) return void near.resetAndDestroy()
    const far = connect(to, "127.0.0.1")
    const link = makeLink(near, far)
    links.add(link)
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on("close", () => {
        sockets.delete(socket)
        links.delete(link)
      })
    }
  })
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    links,
    get target() {
      return to
    },
    set target(port) {
      to = port
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
      })
    },
  }
}
