/** The examples run by themselves, and tell what they are to tell. */
import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import { expect, test } from "vitest"
import { createTestHarness } from "wrangler"
import { ROOT } from "../support/hub.ts"
import { envelope, RawClient } from "../support/RawClient.ts"

const file = (name: string): string => join(ROOT, "../../examples", name)

/** The lines that the example prints. Rejects, with all that it said, where it does not exit with 0. */
const run = async (name: string): Promise<ReadonlyArray<string>> => {
  const { stdout } = await promisify(execFile)(process.execPath, [file(`${name}/main.ts`)])
  return stdout.split("\n").map((line) => line.trim().replace(/ {2,}/, ": "))
}

const count = (lines: ReadonlyArray<string>, text: string): number =>
  lines.filter((line) => line.includes(text)).length

test("the demo ends by itself", async () => {
  const lines = await run("demo")
  expect(lines).toContain('visitor: asks the page and hears "hello Linus, says @(browser/page)"')
})

test("the lobby ends by itself; who plays on notices what it should, once", async () => {
  const lines = await run("lobby")

  // The room that failed has kept its players; each hears of the new round.
  expect(count(lines, "@(lobby/main/blue) failed: Error: nobody has thought of zero")).toBe(1)
  expect(lines).toContain('linus: guesses 0 and hears "actor_failed", and no word of why')
  expect(count(lines, "hears: a new round begins")).toBe(3)
  expect(lines).toContain("linus: guesses 101: lower")

  // Who only looks on has read the same, as a stream.
  expect(count(lines, "script: reads: ada got it")).toBe(1)

  // The profile was passivated in between.
  expect(lines).toContain("script: asks @(profile/ada) and hears that she has 1")

  // Of each who went away for good the room heard once; of the page that was reloaded, never.
  expect(count(lines, "ada: hears: linus has left (disconnected)")).toBe(1)
  expect(count(lines, "ada: hears: grace has left (disconnected)")).toBe(1)
  expect(count(lines, "ada has left")).toBe(0)

  // Children stop before their parent, and nobody else had to.
  expect(lines.filter((line) => line.endsWith("is stopped"))).toEqual([
    "lobby: @(lobby/main/blue) is stopped",
    "lobby: @(lobby/main/red) is stopped",
    "lobby: @(lobby/main) is stopped",
  ])
})

test("the task queue ends by itself; each task is counted once, whoever goes away", async () => {
  const lines = await run("tasks")

  // What the killed worker was at is returned once, and done by another.
  const left = lines.flatMap((line) => /hears that @\(worker\/linus\) left (\d+)$/.exec(line)?.[1] ?? [])
  expect(left).toHaveLength(1)
  const who = lines
    .filter((line) => line.includes(`works on ${left[0]} to`))
    .map((line) => line.split(":")[0])
  expect(who.filter((name) => name !== "linus")).not.toEqual([])

  // The tab that was taken over knows it, and stays away; the other one works.
  expect(count(lines, "closed 4409, stays away")).toBe(1)
  expect(lines).toContain("ada again: is registered")

  expect(count(lines, "hears that all is done")).toBe(2)
  expect(count(lines, "customer: 40 tasks are done")).toBe(1)
  expect(lines).toContain("customer: there are 664579 primes below 10000000")
})

test("the dashboard ends by itself; it sees who comes, who goes and why", async () => {
  const lines = await run("dashboard")
  expect(lines).toContain("dashboard: sees 16 here")
  expect(lines).toContain("dashboard: sees 15 here, 1 unregistered")
  expect(lines).toContain("dashboard: sees 7 here, 1 unregistered, 8 disconnected")
  // After its gateway and both topics were evicted.
  expect(lines).toContain("dashboard: sees 11 here, 1 unregistered, 8 disconnected")
  expect(count(lines, " °C of the east, sensor ")).toBe(4)
})

test("the bridge's room counts for whoever asks, tells all of the room, and forgets nothing asleep", async () => {
  const server = createTestHarness({ workers: [{ configPath: file("bridge/wrangler.jsonc") }] })
  try {
    const { host } = await server.listen().then(({ url }) => url)
    const [ada, bob] = [await RawClient.open(`ws://${host}/tea`), await RawClient.open(`ws://${host}/tea`)]
    const add = (by: number) =>
      ada.request(envelope({ to: "@(room/counter)", type: "add", pattern: "ask", payload: { by } }))
    expect((await add(2)).payload).toBe(2)
    expect((await bob.expect("counted")).payload).toEqual({ count: 2, clients: 2 })
    await server.getWorker().evictDurableObject("Room", { name: "/tea", webSockets: "hibernate" })
    expect((await add(3)).payload).toBe(5)
    expect((await bob.expect("counted")).payload).toEqual({ count: 5, clients: 2 })
  } finally {
    await server.close()
  }
})
