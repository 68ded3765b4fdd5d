/** Our client when its connection goes: cut by the platform, or with the server's process. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, test } from "vitest"
import { startWorkerd, type Workerd } from "../../../bench/lib/workerd.ts"
import { Greeter, greeter } from "../support/Greeter.ts"
import { ROOT, useHub } from "../support/hub.ts"
import { topic, unique } from "../support/names.ts"
import { newAddress, reaches, useClients } from "../support/OwnClients.ts"

const hub = useHub({ own: true })
const connect = useClients()

test("an eviction that sockets sleep through is not noticed by any client", async () => {
  const name = unique("asleep")
  const identity = newAddress("greeter")
  const server = await connect(hub.url(name), { identity })
  await server.serve(Greeter, greeter())
  const visitor = await connect(hub.url(name))
  const states: Array<string> = []
  server.onState(({ status }) => states.push(status))
  visitor.onState(({ status }) => states.push(status))
  for (const who of ["Ada", "Grace", "Linus"]) {
    expect(await hub.server().evict(name)).toBe(true)
    expect(await visitor.actor(Greeter, identity).ask("greet", { name: who })).toBe(`hello ${who}`)
  }
  expect(states).toEqual([])
})

test("fault 22: cut sockets come back: registered and subscribed again, what was queued before what is new", async () => {
  const name = unique("cut")
  const identity = newAddress("greeter")
  const news = topic("news")
  const notes: Array<string> = []
  const server = await connect(hub.url(name), { identity })
  await server.serve(Greeter, greeter(notes))
  const subscription = server.subscribe(news)
  await subscription.ready
  const visitor = await connect(hub.url(name), { identity: newAddress("visitor") })
  const actor = visitor.actor(Greeter, identity)

  const lost = reaches(visitor, "reconnecting")
  const serverLost = reaches(server, "reconnecting")
  expect(await hub.server().evict(name, "close")).toBe(true)
  await lost
  await serverLost
  actor.tell("note", { text: "queued 1" })
  actor.tell("note", { text: "queued 2" })
  await reaches(server, "connected")
  await reaches(visitor, "connected")
  actor.tell("note", { text: "new" })
  expect(await actor.ask("greet", { name: "Ada" })).toBe("hello Ada")
  // A tell is volatile: what came before the greeter was back is lost, but nothing is out of order.
  expect(["queued 1", "queued 2", "new"].join()).toContain(notes.join())
  expect(notes.at(-1)).toBe("new")
  await visitor.publish(news, "headline", "back")
  expect((await subscription.next()).value?.payload).toBe("back")
  const { actors } = await visitor.discover(identity)
  expect(actors.map(({ address }) => address)).toEqual([identity])
})

test("a killed server takes no session: clients come back to what its rows kept", async () => {
  const storage = await mkdtemp(join(tmpdir(), "signal-hub-crash-"))
  const start = (port?: number): Promise<Workerd> =>
    startWorkerd({
      script: join(ROOT, "worker.ts"),
      durableObjects: { SIGNAL_HUB: "SignalHub" },
      vars: { AUTH_MODE: "open" },
      storage,
      ...(port === undefined ? {} : { port }),
    })
  let workerd = await start()
  try {
    const url = `ws://127.0.0.1:${workerd.port}/ws`
    const identity = newAddress("greeter")
    const server = await connect(url, { identity })
    await server.serve(Greeter, greeter())
    const visitor = await connect(url)
    const before = await visitor.discover(identity)

    const lost = [reaches(server, "reconnecting"), reaches(visitor, "reconnecting")]
    process.kill(workerd.pid, "SIGKILL")
    await Promise.all(lost)
    const { port } = workerd
    await workerd[Symbol.asyncDispose]()
    workerd = await start(port)
    await Promise.all([reaches(server, "connected"), reaches(visitor, "connected")])
    expect(await visitor.actor(Greeter, identity).ask("greet", { name: "Ada" })).toBe("hello Ada")
    // The same sessions: had the rows been lost, they and the registration would begin anew.
    for (const client of [server, visitor]) expect(client.session?.session).toMatchObject({ resumed: true })
    const after = await visitor.discover(identity)
    expect(after.actors[0]!.version).toBe(before.actors[0]!.version)
  } finally {
    await workerd[Symbol.asyncDispose]()
    await rm(storage, { recursive: true, force: true })
  }
})
