/** Our client in a real Chromium, with a hub in real workerd. */
import { readFileSync } from "node:fs"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import chromium from "@sparticuz/chromium"
import type { connect as Connect, ConnectionState, Hub } from "@signal-hub/cloudflare-transport/client"
import type { indexedDbPersistence as IndexedDbPersistence } from "@signal-hub/cloudflare-transport/client/indexeddb"
import { build, transform } from "esbuild"
import { type Browser, chromium as playwright, type Page } from "playwright-core"
import { afterAll, beforeAll, expect, test } from "vitest"
import { Greeter, greeter } from "../support/Greeter.ts"
import { Ticker, ticker } from "../support/Ticker.ts"
import { ROOT, useHub } from "../support/hub.ts"
import { newAddress, useClients } from "../support/OwnClients.ts"
import { hs256, SECRET } from "../support/tokens.ts"

/** What the page's script and the tests leave in the page. */
declare const inPage: {
  readonly connect: typeof Connect
  readonly indexedDbPersistence: typeof IndexedDbPersistence
  readonly upgradeDatabase: (name: string, version: number) => Promise<number>
  readonly Greeter: typeof Greeter
  readonly greeter: typeof greeter
  readonly Ticker: typeof Ticker
  readonly ticker: typeof ticker
  /** Fires the events that wake a client. */
  readonly wake: () => void
  hub: Hub
  /** Each state of the client since it was first connected. */
  states: Array<ConnectionState>
}

/** Of the program of the page about takeovers. */
declare const showTakeover: (hub: Hub, button: unknown) => void

/** The program of the page about takeovers, as it stands there. */
const programOfTakeover = async (): Promise<string> => {
  const page = readFileSync(join(ROOT, "../../docs/actor-design/takeover.md"), "utf8")
  const [, program] = /^```ts\n(\/\/ file: notice\.ts\n.*?)^```$/ms.exec(page)!
  return (await transform(program!, { loader: "ts" })).code
}

const hub = useHub({ own: true })
const closedHub = useHub({ vars: { AUTH_MODE: "token", JWT_SECRET: SECRET } })
const connect = useClients()
let server: Server
let browser: Browser

beforeAll(async () => {
  const { outputFiles } = await build({
    absWorkingDir: ROOT,
    entryPoints: ["browser/page.ts"],
    bundle: true,
    format: "esm",
    write: false,
  })
  const scripts = new Map([
    ["/page.js", outputFiles[0]!.text],
    ["/notice.js", await programOfTakeover()],
  ])
  server = createServer(({ url }, response) => {
    const script = scripts.get(url ?? "")
    response.setHeader("Content-Type", script === undefined ? "text/html" : "text/javascript")
    response.end(
      script ??
        `<!doctype html><title>test</title><button id="notice" hidden></button>
         <script type="module">import * as notice from "/notice.js"; Object.assign(globalThis, notice)</script>
         <script type="module" src="/page.js"></script>`,
    )
  })
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
  browser = await playwright.launch({
    executablePath: await chromium.executablePath(),
    args: [
      ...chromium.args,
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
    headless: true,
  })
})

afterAll(async () => {
  await browser?.close()
  await new Promise((closed) => server.close(closed))
})

/** A page that has our client. */
const openPage = async (): Promise<Page> => {
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  await page.waitForFunction(() => "inPage" in globalThis)
  return page
}

/** A page whose client is connected with this identity. */
const open = async (identity: string): Promise<Page> => {
  const page = await openPage()
  await page.evaluate(
    async ([url, address]) => {
      inPage.hub = await inPage.connect(url!, { identity: address as `@(${string}/${string})` })
    },
    [hub.url(), identity],
  )
  return page
}

test("a page asks an actor in Node, and is asked by Node", async () => {
  const node = newAddress("node")
  const inNode = await connect(hub.url(), { identity: node })
  await inNode.serve(Greeter, greeter())
  const served = newAddress("page")
  const page = await open(served)
  await page.evaluate(async () => {
    await inPage.hub.serve(inPage.Greeter, inPage.greeter())
  })
  expect(await inNode.actor(Greeter, served).ask("greet", { name: "Node" })).toBe("hello Node")
  const answer = await page.evaluate(
    (to) => inPage.hub.actor(inPage.Greeter, to).ask("greet", { name: "Chromium" }),
    node,
  )
  expect(answer).toBe("hello Chromium")
})

test("a page and Node read one another's streams, as far as they want to", async () => {
  const node = newAddress("node")
  const inNode = await connect(hub.url(), { identity: node })
  const ended: Array<string> = []
  await inNode.serve(Ticker, ticker(ended))
  const served = newAddress("page")
  const page = await open(served)
  await page.evaluate(async () => {
    await inPage.hub.serve(inPage.Ticker, inPage.ticker([]))
  })
  const here: Array<number> = []
  for await (const n of inNode.actor(Ticker, served).stream("count", { to: 200 })) here.push(n)
  expect(here).toEqual(Array.from({ length: 200 }, (_, i) => i + 1))
  const there = await page.evaluate(async (to) => {
    const read: Array<number> = []
    for await (const n of inPage.hub.actor(inPage.Ticker, to).stream("count", { to: 1_000_000 })) {
      read.push(n)
      if (n === 100) break
    }
    return read
  }, node)
  expect(there).toEqual(Array.from({ length: 100 }, (_, i) => i + 1))
  await expect.poll(() => ended).toEqual(["count"])
})

test.each(["/ws", "/gateway"])(
  "fault 79: at %s, a tab that is closed leaves its topics at once",
  async (path) => {
    const url = new URL(hub.url())
    url.pathname = path
    const [watching, tab, topic] = [
      newAddress("watcher"),
      newAddress("tab"),
      `room/${newAddress("x").slice(7, -1)}`,
    ]
    const watcher = await connect(url.href, { identity: watching })
    const seen: Array<unknown> = []
    watcher.onEvent(({ type, payload }) => {
      if (type !== "hub:presence_diff") return
      for (const change of ["joined", "left", "updated"] as const) {
        for (const { actorAddress } of payload[change] ?? []) if (actorAddress === tab) seen.push(change)
      }
    })
    await watcher.subscribe(topic, { presence: true }).ready
    const page = await openPage()
    await page.evaluate(
      async ([at, address, name]) => {
        inPage.hub = await inPage.connect(at!, { identity: address as `@(${string}/${string})` })
        await inPage.hub.subscribe(name!).ready
      },
      [url.href, tab, topic],
    )
    await expect.poll(() => seen).toEqual(["joined"])
    // As a user does: the page hears of it. Its grace period is 60 s.
    await page.close({ runBeforeUnload: true })
    await expect.poll(() => seen, { timeout: 5_000 }).toEqual(["joined", "left"])
  },
)

/** A tab that tells its user of takeovers, and the sockets that it has opened. */
const openTab = async (url: string): Promise<{ readonly page: Page; readonly sockets: () => number }> => {
  const page = await openPage()
  let sockets = 0
  page.on("websocket", () => sockets++)
  await page.evaluate(
    async ([url, identity]) => {
      inPage.hub = await inPage.connect(url!, { identity: identity as `@(${string}/${string})` })
      inPage.states = []
      inPage.hub.onState((state) => inPage.states.push(state))
      showTakeover(inPage.hub, (globalThis as never as { readonly notice: unknown }).notice)
    },
    [url, new URL(url).searchParams.get("identity")!],
  )
  return { page, sockets: () => sockets }
}

/** What the user of the tab reads. */
const notice = (page: Page): Promise<string> =>
  page.locator("#notice").evaluate((button) => {
    const { hidden, textContent } = button as unknown as { hidden: boolean; textContent: string }
    return hidden ? "" : textContent
  })

const statuses = (page: Page): Promise<ReadonlyArray<string>> =>
  page.evaluate(() => inPage.states.map((state) => state.status))

test.each(["/ws", "/gateway"])(
  "fault 10: at %s, of two tabs with one identity the first is superseded, tells its user, and stays away whatever wakes it, until reclaim()",
  async (path) => {
    const url = new URL(hub.url())
    url.pathname = path
    url.searchParams.set("identity", newAddress("tab"))
    const first = await openTab(url.href)
    const second = await openTab(url.href)
    const taken = "This is open in another tab. Use it here"
    await expect.poll(() => notice(first.page)).toBe(taken)
    expect(await first.page.evaluate(() => inPage.hub.state)).toMatchObject({
      status: "superseded",
      code: 4409,
      cause: expect.stringContaining("duplicate_connection: "),
    })
    const refusal = await first.page.evaluate(() => {
      try {
        void inPage.hub.tell("@(some/body)", "hello")
        return "taken"
      } catch (error) {
        return (error as Error).message
      }
    })
    expect(refusal).toContain("reclaim()")
    const wakeUp = () => first.page.evaluate(() => inPage.wake())
    await wakeUp()
    // Attempts that wake-ups cause are a second apart: these answers come later than one would have.
    const until = Date.now() + 1_500
    while (Date.now() < until) await second.page.evaluate(() => inPage.hub.metrics())
    await wakeUp()
    expect([await notice(first.page), await notice(second.page)]).toEqual([taken, ""])
    expect([first.sockets(), second.sockets()]).toEqual([1, 1])

    await first.page.locator("#notice").click()
    await expect.poll(() => notice(second.page)).toBe(taken)
    await first.page.evaluate(() => inPage.hub.metrics())
    expect(await notice(first.page)).toBe("")
    expect(await statuses(first.page)).toEqual(["superseded", "reconnecting", "connected"])
    expect(await statuses(second.page)).toEqual(["superseded"])
    expect([first.sockets(), second.sockets()]).toEqual([2, 1])
  },
)

test("a page enters with a token, and can read why it is refused: 4401, after a second try with a fresh one", async () => {
  const page = await openPage()
  const enter = (token: string) =>
    page.evaluate(
      async ([url, text]) => {
        let asked = 0
        try {
          inPage.hub = await inPage.connect(url!, {
            token: () => {
              asked++
              return text
            },
          })
          return { asked, identity: inPage.hub.identity }
        } catch (error) {
          return { asked, code: (error as { readonly code: unknown }).code }
        }
      },
      [closedHub.url(), token],
    )
  const forged = hs256({ actorId: "test/page" }, "another secret of the same length")
  expect(await enter(forged)).toEqual({ asked: 2, code: 4401 })
  expect(await enter(hs256({ actorId: "test/page", hubs: [] }))).toEqual({ asked: 1, code: 4403 })
  expect(await enter(hs256({ actorId: "test/page" }))).toEqual({ asked: 1, identity: "@(test/page)" })
})

test("faults 12, 22: a page that is loaded again goes on with its session; a second tab takes it over", async () => {
  const [identity, node] = [newAddress("tab"), newAddress("node")]
  const inNode = await connect(hub.url(), { identity: node })
  const told: Array<unknown> = []
  inNode.onMessage(({ payload }) => void told.push(payload))
  const begin = (page: Page): Promise<ReadonlyArray<string>> =>
    page.evaluate(
      async ([url, address]) => {
        const persistence = inPage.indexedDbPersistence("session")
        inPage.hub = await inPage.connect(url!, {
          identity: address as `@(${string}/${string})`,
          persistence,
        })
        const types: Array<string> = []
        inPage.hub.onSession(({ type }) => void types.push(type))
        return types
      },
      [hub.url(), identity],
    )
  const load = async (page: Page): Promise<void> => {
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    await page.waitForFunction(() => "inPage" in globalThis)
  }
  const page = await openPage()
  expect(await begin(page)).toEqual(["connected"])
  // Gone with some on their way: what the hub does not have is sent by the page that comes after it.
  await page.evaluate(async (to) => {
    for (let n = 1; n < 50; n++) void inPage.hub.tell(to, "n", n, { reliable: true })
    await inPage.hub.tell(to, "n", 50, { until: "acknowledged" })
  }, node)
  await load(page)
  expect(await begin(page)).toEqual(["resumed"])
  await page.evaluate((to) => inPage.hub.tell(to, "n", 51, { until: "acknowledged" }), node)
  await expect.poll(() => told).toEqual(Array.from({ length: 51 }, (_, n) => n + 1))

  const second = await page.context().newPage()
  await load(second)
  expect(await begin(second)).toEqual(["resumed"])
  await page.waitForFunction(() => inPage.hub.state.status === "superseded")
  await second.evaluate((to) => inPage.hub.tell(to, "n", 52, { until: "acknowledged" }), node)
  await expect.poll(() => told.at(-1)).toBe(52)
  expect(await second.evaluate(() => inPage.hub.state.status)).toBe("connected")
})

test("fault 76: a stored session of newer code is left as it is, and to the page that has it", async () => {
  const page = await openPage()
  const result = await page.evaluate(async () => {
    const persistence = inPage.indexedDbPersistence("newer")
    const newer = await persistence.open()
    await newer.write(new Map<string, unknown>([["schema", { version: 2, readableFrom: 2 }]]))
    const refuse = () => {
      throw new Error("it is newer")
    }
    const error = await persistence.open(refuse).catch((cause: unknown) => String(cause))
    // Not taken over.
    await newer.write(new Map([["last", 7]]))
    // What must be changed first is written with the taking over.
    const change = () =>
      new Map<string, unknown>([
        ["last", undefined],
        ["next", 8],
      ])
    const entries = [...(await persistence.open(change)).entries.keys()].toSorted()
    const taken = await newer.write(new Map()).catch((cause: unknown) => (cause as Error).name)
    // Another layout of the database is not this code's either; and code that brings it need not wait.
    const upgraded = await inPage.upgradeDatabase("newer", 2)
    const layout = await persistence.open().catch((cause: unknown) => (cause as Error).name)
    return { error, entries, taken, upgraded, layout }
  })
  expect(result).toEqual({
    error: "Error: it is newer",
    entries: ["next", "owner", "schema"],
    taken: "StoreTaken",
    upgraded: 2,
    layout: "StoreRejected",
  })
})
