/** Our client in a real Chromium, with a hub in real workerd. */
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import chromium from "@sparticuz/chromium"
import type { connect as Connect, Hub } from "@signal-hub/cloudflare-transport/client"
import type { indexedDbPersistence as IndexedDbPersistence } from "@signal-hub/cloudflare-transport/client/indexeddb"
import { build } from "esbuild"
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
  readonly Greeter: typeof Greeter
  readonly greeter: typeof greeter
  readonly Ticker: typeof Ticker
  readonly ticker: typeof ticker
  /** Fires the events that wake a client. */
  readonly wake: () => void
  hub: Hub
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
  const script = outputFiles[0]!.text
  server = createServer(({ url }, response) => {
    const isScript = url === "/page.js"
    response.setHeader("Content-Type", isScript ? "text/javascript" : "text/html")
    response.end(
      isScript ? script : '<!doctype html><title>test</title><script type="module" src="/page.js"></script>',
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

const status = (page: Page): Promise<string> => page.evaluate(() => inPage.hub.state.status)

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

test("fault 10: of two tabs with one identity the first is superseded, and stays away whatever wakes it", async () => {
  const identity = newAddress("tab")
  const first = await open(identity)
  const second = await open(identity)
  await first.waitForFunction(() => inPage.hub.state.status === "superseded")
  await first.evaluate(() => {
    inPage.wake()
  })
  // An answer that went there and back: had the first tab come back, the second would be out by now.
  await second.evaluate(async () => {
    await inPage.hub.metrics()
  })
  expect([await status(first), await status(second)]).toEqual(["superseded", "connected"])
})

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
  expect(await status(second)).toBe("connected")
})
