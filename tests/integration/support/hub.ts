/** The hub under test: at `HUB_URL`, or started here with Wrangler's test harness. */
import { fileURLToPath, URL } from "node:url"
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, test } from "vitest"
import { createTestHarness, type TestHarness } from "wrangler"
import { address, topics } from "./names.ts"
import { RawClient, type ConnectOptions, type OpenOptions } from "./RawClient.ts"

declare module "vitest" {
  interface ProvidedContext {
    /** Whether all objects are evicted before each frame. */
    readonly evicting: boolean
    /** What clients connect to. */
    readonly topology: "hub" | "gateway"
  }
}

// Neither is of use to a test, and both ask the network.
process.env.WRANGLER_SEND_METRICS = "false"
process.env.CLOUDFLARE_CF_FETCH_ENABLED = "false"

export const ROOT = fileURLToPath(new URL("..", import.meta.url))
const CONFIG = fileURLToPath(new URL("../wrangler.jsonc", import.meta.url))

/** Variables of the Worker. */
export type Vars = { readonly [variable: string]: string }

/** A hub that was started here, in a runtime of its own. */
export interface HubServer {
  /** `ws://…/ws` */
  readonly url: string
  readonly harness: TestHarness
  /** Evicts a hub object. False where it wasn't running. */
  readonly evict: (name?: string, webSockets?: "hibernate" | "close") => Promise<boolean>
  /** Evicts any object. False where it wasn't running. */
  readonly evictObject: (
    className: "SignalHub" | "SessionGateway" | "TopicHub" | "Directory" | "LedgerActor",
    name: string,
    webSockets?: "hibernate" | "close",
  ) => Promise<boolean>
  readonly close: () => Promise<void>
}

/** For tests of something else that send faster than a hub allows, and read more than they acknowledge. */
export const UNHURRIED = {
  maxEnvelopesPerSecond: 1e6,
  envelopeBurst: 1e6,
  maxBytesPerSecond: 1e12,
  byteBurst: 1e12,
  pauseThreshold: 1e9,
}

/** Starts a hub, in open mode unless `vars` says otherwise. `limits` overrides the defaults. */
export const startHub = async (
  limits?: { readonly [limit: string]: number },
  vars: Vars = {},
): Promise<HubServer> => {
  const given = limits === undefined ? vars : { ...vars, LIMITS: JSON.stringify(limits) }
  const harness = createTestHarness({ root: ROOT, workers: [{ configPath: CONFIG, vars: given }] })
  const { url } = await harness.listen()
  const evictObject: HubServer["evictObject"] = async (className, name, webSockets = "hibernate") => {
    try {
      await harness.getWorker().evictDurableObject(className, { name, webSockets })
      return true
    } catch (error) {
      if (error instanceof Error && error.message.includes("not currently running")) return false
      throw error
    }
  }
  return {
    url: new URL("/ws", url.href).href.replace("http", "ws"),
    harness,
    evictObject,
    evict: (name = "default", webSockets) => evictObject("SignalHub", name, webSockets),
    close: () => harness.close(),
  }
}

/** What the captured logs hold that no run may leave behind: what nobody caught, and internal errors. */
export const troubles = (harness: TestHarness): ReadonlyArray<string> =>
  harness
    .getLogs()
    .filter(
      ({ level, message }) => level === "error" || /uncaught|unhandled|internal_error/i.test(String(message)),
    )
    .map(({ level, message }) => `${level}: ${String(message)}`)
    // The runtime's own tail, by which logs are captured, ends with the socket that it listens to.
    .filter((line) => !line.includes("trace-stream"))

/** Whether clients connect to gateways, one for each identity. */
export const isGateway = inject("topology") === "gateway"

/** A test of sessions that get their identity after they connected, which a gateway has not. */
export const twoPhase: ReturnType<typeof test.runIf> = test.runIf(!isGateway)

export interface HubUnderTest {
  /** `ws://…/ws`, with the name of a hub `ws://…/ws/name`. */
  readonly url: (name?: string) => string
  /** An HTTP address of the same server. */
  readonly http: (path: string) => URL
  /** A socket that has sent nothing. It is closed after the test. */
  readonly open: (options?: OpenOptions & Where) => Promise<RawClient>
  /** A connected socket. It is closed after the test. */
  readonly connect: (options?: ConnectOptions & Where) => Promise<RawClient>
  /** The server, where it was started here. */
  readonly server: () => HubServer
}

/** `hub`: in a hub of this name; gateways have no names. `identity`: as whom, which gateways must know. */
interface Where {
  readonly hub?: string
  readonly identity?: string | null
}

/** The last few: to evict hundreds before each frame would take hours. */
const latest = <A>(all: ReadonlyArray<A>): ReadonlyArray<A> => all.slice(-8)

/** One hub for the tests of a file. With `limits`, `vars` or `own`, always one of its own. */
export const useHub = (
  options: {
    readonly limits?: { readonly [limit: string]: number }
    readonly vars?: Vars
    readonly own?: boolean
  } = {},
): HubUnderTest => {
  const shared =
    options.limits === undefined && options.vars === undefined && options.own !== true && !inject("evicting")
      ? process.env.HUB_URL
      : undefined
  // An eviction waits for running timers. So that it needn't for each ask, asks become rows at once, and
  // receipts don't wait for more; a socket that isn't connected has one too, so that evictions begin with the first frame after it.
  const faster = inject("evicting") ? { askVolatileFor: 20, ackInterval: 20 } : {}
  const clients: Array<RawClient> = []
  /** Whose gateways may run. */
  const identities = new Set<string>()
  let server: HubServer | undefined
  /** Tests of which a connected client sent a frame: each must have met an eviction. */
  let tests = 0
  let evictions = 0
  let counted = false

  beforeAll(async () => {
    if (shared === undefined) server = await startHub({ ...faster, ...options.limits }, options.vars)
  }, 60_000)

  beforeEach(() => {
    counted = false
  })

  afterEach(() => {
    for (const client of clients.splice(0)) client.terminate()
    identities.clear()
    topics.length = 0
  })

  afterAll(async () => {
    await server?.close()
    if (inject("evicting")) expect(evictions).toBeGreaterThanOrEqual(tests)
  }, 60_000)

  const url = (name?: string): string => {
    const base = (shared ?? server?.url ?? "").replace(/\/$/, "").replace(/\/gateway$/, "/ws")
    return name === undefined ? base : `${base}/${name}`
  }
  const urlOf = ({ hub, named }: Where & OpenOptions): string =>
    isGateway && named !== undefined
      ? `${url().replace(/\/ws$/, "/gateway")}?identity=${encodeURIComponent(named)}`
      : url(hub)
  const evictBefore = ({ hub, named }: Where & OpenOptions) =>
    inject("evicting")
      ? async () => {
          if (!counted) tests++
          counted = true
          if (await (isGateway ? evictAll(named) : server?.evict(hub))) evictions++
        }
      : undefined
  /** Evicts the client's own gateway, and whatever else may run. Gives whether the first was running. */
  const evictAll = async (named: string | undefined): Promise<boolean> => {
    if (server === undefined || named === undefined) return false
    const { evictObject } = server
    const [own] = await Promise.all([
      evictObject("SessionGateway", named),
      ...latest([...identities].filter((one) => one !== named)).map((one) =>
        evictObject("SessionGateway", one),
      ),
      ...latest(topics).map((one) => evictObject("TopicHub", one)),
      ...Array.from({ length: 16 }, (_, shard) => evictObject("Directory", `directory-${shard}`)),
    ])
    return own
  }
  const opened = (client: RawClient): RawClient => {
    clients.push(client)
    return client
  }
  const withHook = <A extends OpenOptions & Where>(given: A): A => {
    const named = isGateway ? (given.named ?? given.identity ?? address("actor")) : undefined
    if (named !== undefined) identities.add(named)
    const options = { ...given, ...(named !== undefined && { named }) }
    const beforeSend = given.beforeSend ?? evictBefore(options)
    return beforeSend === undefined ? options : { ...options, beforeSend }
  }

  return {
    url,
    http: (path) => new URL(path, url().replace(/^ws/, "http")),
    open: async (given = {}) => {
      const options = withHook(given)
      return opened(await RawClient.open(urlOf(options), options))
    },
    connect: async (given = {}) => {
      const options = withHook(given)
      return opened(await RawClient.connect(urlOf(options), options))
    },
    server: () => {
      if (server === undefined) throw new Error("this hub was not started here")
      return server
    },
  }
}
