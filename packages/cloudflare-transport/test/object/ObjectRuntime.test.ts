/** The base of every Durable Object: a core that failed has no effect any more, and storage of newer code is left alone. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import type { ObjectPort } from "../../src/object/ObjectPort.ts"
import { ObjectRuntime } from "../../src/object/ObjectRuntime.ts"
import { StorageRejected } from "../../src/object/StorageRejected.ts"
import { type Schema, schemaOf, versioned } from "../../src/object/Tables.ts"
import { DEFAULT_LIMITS } from "../../src/protocol/Limits.ts"
import { durableState } from "../support/durableState.ts"
import { NodeSql } from "../support/NodeSql.ts"

const TABLE = schemaOf("CREATE TABLE note (text TEXT)")
const OLD: Schema = versioned("note", TABLE)
const NEWER: Schema = versioned("note", TABLE, { readableFrom: 2, upgrade: () => {} })
const BESIDE: Schema = versioned("note", TABLE, { readableFrom: 1, upgrade: () => {} })

const RECHECK_AFTER = 300_000

/** A core that can be told apart from the one before it. */
class TestCore {
  readonly port: ObjectPort
  readonly number: number
  constructor(port: ObjectPort, number: number) {
    this.port = port
    this.number = number
  }

  note(text: string): void {
    this.port.sql.run("INSERT INTO note (text) VALUES (?)", text)
  }

  notes(): ReadonlyArray<string> {
    return this.port.sql.all<{ text: string }>("SELECT text FROM note").map(({ text }) => text)
  }
}

/** An object, and what its parts were told. */
const objectOn = (database: NodeSql, schema = OLD) => {
  const state = durableState(database)
  const told: Array<string> = []
  let cores = 0
  const runtime: ObjectRuntime<TestCore> = new ObjectRuntime({
    ctx: state,
    schema,
    limits: DEFAULT_LIMITS,
    logLevel: "error",
    start: (port) => new TestCore(port, ++cores),
  })
  runtime.attach({
    upgraded: () => void told.push("upgraded"),
    rejected: () => void told.push("rejected"),
    started: () => void told.push("started"),
    failing: () => void told.push(`failing ${runtime.core.number}`),
    dropped: () => void told.push(`dropped ${runtime.isRunning}`),
    flush: () => void told.push("flush"),
    ended: () => void told.push("ended"),
  })
  return { runtime, state, told, cores: () => cores }
}

const newObject = () => objectOn(new NodeSql())

const fails = (): never => {
  throw new Error("the disk is full")
}

let lines: Array<{ readonly event: string }>

beforeEach(() => {
  vi.useFakeTimers()
  lines = []
  vi.spyOn(console, "error").mockImplementation((line: string) => void lines.push(JSON.parse(line)))
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

describe("a core that fails", () => {
  it("is logged and dropped, and the next begins from the rows", () => {
    const { cores, runtime, told } = newObject()
    runtime.serve((core) => core.note("kept"))
    expect(told).toEqual(["started", "flush", "ended"])
    told.length = 0
    runtime.run(fails)
    expect(told).toEqual(["failing 1", "dropped false", "flush", "ended"])
    expect(lines).toMatchObject([
      { level: "error", event: "internal_error", name: "one", error: "Error: the disk is full" },
    ])
    expect(runtime.isRunning).toBe(false)
    expect(runtime.serve((core) => [core.number, ...core.notes()])).toEqual([2, "kept"])
    expect(cores()).toBe(2)
  })

  it("fails the call that it failed on, and the answers that it still owed", async () => {
    const { runtime } = newObject()
    const owed = runtime.promise<string>(() => {})
    let fulfil: ((text: string) => void) | undefined
    const given = runtime.promise<string>((_, done) => (fulfil = done))
    fulfil?.("given")
    expect(() => runtime.serve(fails)).toThrow("the disk is full")
    await expect(owed).rejects.toThrow("the disk is full")
    expect(await given).toBe("given")
    await expect(runtime.promise(fails)).rejects.toThrow("the disk is full")
    const rejected = runtime.promise<string>((_, __, reject) => reject(new Error("not there")))
    await expect(rejected).rejects.toThrow("not there")
  })

  it("has no effect by a timer any more", () => {
    const { runtime } = newObject()
    const { later } = runtime.core.port
    const rung: Array<string> = []
    later(100, () => rung.push("failed"))
    runtime.run(fails)
    later(100, () => rung.push("next"))
    vi.advanceTimersByTime(200)
    expect(rung).toEqual(["next"])
    expect(runtime.isIdle).toBe(true)
  })

  it("has no effect by a look-up of the alarm any more", async () => {
    const { runtime } = newObject()
    const { armedAt } = runtime.core.port
    const found: Array<string> = []
    armedAt(() => found.push("failed"))
    runtime.run(fails)
    armedAt((at) => found.push(`next ${at}`))
    await vi.advanceTimersByTimeAsync(0)
    expect(found).toEqual(["next null"])
  })

  it("hands what it deferred before to other objects, and nothing after that", () => {
    const { runtime } = newObject()
    const { defer } = runtime.core.port
    const called: Array<string> = []
    runtime.run(() => {
      defer(() => {
        called.push("before")
        defer(() => called.push("after"))
      })
      fails()
    })
    expect(called).toEqual(["before"])
    runtime.run(() => defer(() => called.push("next")))
    expect(called).toEqual(["before", "next"])
  })

  it("is dropped also if its last tasks fail", () => {
    const { runtime } = newObject()
    runtime.attach({ failing: fails })
    const { defer } = runtime.core.port
    const called: Array<string> = []
    runtime.run(() => {
      defer(fails)
      defer(() => called.push("other"))
      fails()
    })
    expect(called).toEqual(["other"])
    expect(lines).toHaveLength(3)
    expect(runtime.isRunning).toBe(false)
  })
})

describe("events", () => {
  it("run what they deferred before they end", () => {
    const { runtime, told } = newObject()
    const { defer } = runtime.core.port
    told.length = 0
    runtime.run(() => {
      defer(() => void told.push("deferred"))
      told.push("task")
    })
    expect(told).toEqual(["task", "flush", "deferred", "flush", "ended", "ended"])
    defer(() => void told.push("deferred by a frame"))
    expect(runtime.isIdle).toBe(false)
    runtime.endEvent()
    expect(told.slice(6)).toEqual(["deferred by a frame", "flush", "ended"])
  })

  it("keep the object awake only while something waits", () => {
    const { runtime } = newObject()
    const cancel = runtime.port.later(1_000, () => {})
    expect(runtime.isIdle).toBe(false)
    cancel()
    expect(runtime.isIdle).toBe(true)
  })
})

describe("storage that this code can't read", () => {
  const written = (schema: Schema) => {
    const database = new NodeSql()
    objectOn(database, schema).runtime.serve((core) => core.note("newer"))
    return database
  }

  it("starts no core, is logged once, and is looked at again after its alarm", async () => {
    const { cores, runtime, state, told } = objectOn(written(NEWER))
    expect(runtime.isReadable).toBe(false)
    expect(() => runtime.core).toThrow(StorageRejected)
    expect(() => runtime.serve((core) => core.number)).toThrow(StorageRejected)
    await expect(runtime.promise((core) => core.number)).rejects.toThrow(StorageRejected)
    expect(cores()).toBe(0)
    expect(told.filter((one) => one === "rejected")).toEqual(["rejected"])
    expect(told).not.toContain("failing")
    expect(lines).toMatchObject([{ event: "storage_rejected", reason: "newer", stored: 2, code: 1 }])
    const woken = vi.fn()
    runtime.alarm(woken)
    expect(woken).not.toHaveBeenCalled()
    expect(await state.storage.getAlarm()).toBe(Date.now() + RECHECK_AFTER)
  })

  it("is left alone by a core that finds it while it runs", () => {
    const { runtime, told } = newObject()
    void runtime.core
    told.length = 0
    runtime.run(() => {
      throw StorageRejected.newer({ version: 2, readableFrom: 2 }, { version: 1, readableFrom: 1 })
    })
    expect(told).toEqual(["rejected", "flush", "ended"])
    expect(runtime.isRunning).toBe(false)
    expect(lines).toMatchObject([{ event: "storage_rejected" }])
  })

  it("is not deleted by older code that can read it, as that may not know all of it", () => {
    const newer = written(BESIDE)
    const older = objectOn(newer).runtime
    expect(older.core.notes()).toEqual(["newer"])
    const before = vi.fn()
    older.storage.forget(before)
    older.port.forget()
    expect(before).not.toHaveBeenCalled()
    expect(older.core.notes()).toEqual(["newer"])
    const own = objectOn(newer, BESIDE).runtime
    own.open()
    own.storage.forget(before)
    expect(before).toHaveBeenCalledOnce()
    expect(own.storage.isBlank).toBe(true)
    expect(newer.tables()).toEqual([])
  })

  it("is upgraded before the core starts", () => {
    const { runtime, told } = objectOn(written(OLD), BESIDE)
    runtime.alarm(() => told.push("alarm"))
    expect(runtime.serve((core) => core.notes())).toEqual(["newer"])
    expect(told.slice(0, 2)).toEqual(["upgraded", "alarm"])
    expect(told.indexOf("started")).toBeGreaterThan(1)
  })
})
