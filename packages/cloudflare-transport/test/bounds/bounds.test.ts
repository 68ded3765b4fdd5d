/** Nothing grows without a bound: each collection in memory and each table has one that is written down. */
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { DURABLE } from "../../src/durable/DurableSchema.ts"
import { DIRECTORY, GATEWAY, HUB, TOPIC } from "../../src/object/Schema.ts"
import { schemaOf, Tables } from "../../src/object/Tables.ts"
import { NodeSql } from "../support/NodeSql.ts"
import { collectionsOf } from "./LiveWalk.ts"
import { MEMORY, STORED } from "./table.ts"
import { unbounded } from "./unbounded.ts"
import { usedActor, usedClient, usedHub, usedSystem } from "./world.ts"

const [first] = [0]

const NONE = { without: [], stale: [] }

const KINDS: ReadonlyArray<readonly [kind: string, use: () => unknown]> = [
  ["hub", () => usedHub().core],
  ["gateway", () => [...usedSystem().gateways.values()][first]!.core],
  ["topic", () => [...usedSystem().topics.values()][first]!.core],
  ["directory", () => [...usedSystem().directories.values()][first]!.core],
  ["actor", async () => (await usedActor()).host],
  ["client", usedClient],
]

describe.each(KINDS)("what is held in memory: %s", (kind, use) => {
  it("fault 70: has a bound that is written down, each of it", async () => {
    const found = collectionsOf({ [kind]: await use() })
    expect(unbounded(found, MEMORY[kind]!)).toEqual(NONE)
  })
})

it("names limits that there are", () => {
  const sources = globSync("src/**/*.ts", { cwd: join(import.meta.dirname, "../..") })
  const source = sources.map((file) => readFileSync(join(import.meta.dirname, "../..", file), "utf8")).join()
  const texts = [...Object.values(MEMORY), ...Object.values(STORED)].flatMap((bounds) =>
    Object.values(bounds),
  )
  const names = new Set(texts.join(" ").match(/\b(?:max[A-Z]\w+|[A-Z]{2,}(?:_[A-Z]+)*)\b/g))
  expect(names.size).toBeGreaterThan(20)
  expect([...names].filter((name) => !new RegExp(`\\b${name}\\b`).test(source))).toEqual([])
})

describe("the tables", () => {
  it.each(Object.entries({ hub: HUB, gateway: GATEWAY, topic: TOPIC, directory: DIRECTORY, actor: DURABLE }))(
    "fault 70: that may be made have a bound that is written down: %s",
    (kind, schema) => {
      expect(unbounded([...schema.keys()], STORED[kind]!)).toEqual(NONE)
    },
  )

  it("fault 70: that were made are of those", async () => {
    const { database } = await usedActor()
    const system = usedSystem()
    const made: { readonly [kind: string]: ReadonlyArray<string> } = {
      hub: usedHub().sql.tables(),
      gateway: [...system.gateways.values()].flatMap(({ hub }) => hub.sql.tables()),
      topic: [...system.topics.values()].flatMap(({ host }) => host.sql.tables()),
      directory: [...system.directories.values()].flatMap(({ host }) => host.sql.tables()),
      actor: database.tables(),
    }
    for (const [kind, tables] of Object.entries(made)) {
      const own = tables.filter((name) => !name.startsWith("sqlite_"))
      expect([kind, own.length > 0]).toEqual([kind, true])
      expect(own.filter((name) => !(name in STORED[kind]!))).toEqual([])
    }
  })
})

it("a walk finds what is private, what collections hold, and what functions of ours have closed over", () => {
  const database = new NodeSql()
  const tables = new Tables(database, schemaOf("CREATE TABLE one (a INTEGER)"))
  const held = { list: [tables], later: new Map([["a", { bytes: new Uint8Array(1) }]]) }
  expect(collectionsOf({ held })).toEqual([
    "Tables.#made",
    "Tables.#schema",
    "Tables.#schema{}.indexes",
    "held.later",
    "held.later{}.bytes",
    "held.list",
  ])
  // A class that is none of ours hides what it has.
  expect(collectionsOf({ database })).toEqual([])
})
