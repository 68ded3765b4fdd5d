/** A stored session meets code of other versions than its own: older, newer, and what is between. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, onTestFinished, test } from "vitest"
import { type Persistence, StoreRejected, type Store } from "../../src/client/Persistence.ts"
import { openStore, type StoreStep } from "../../src/client/StoredVersion.ts"
import { filePersistence } from "../../src/persistence/File.ts"
import { MemoryStore } from "./support/MemoryStore.ts"

/** Version 2 adds an entry, which older code can leave alone; version 3 renames one. */
const STEPS: ReadonlyArray<StoreStep> = [
  { readableFrom: 1, upgrade: (entries) => void entries.set("note", "two") },
  {
    readableFrom: 3,
    upgrade: (entries) => {
      entries.set("last", entries.get("taken"))
      entries.delete("taken")
    },
  },
]
const code = (version: number) => STEPS.slice(0, version - 1)

const kinds: ReadonlyArray<readonly [name: string, make: () => Promise<Persistence>]> = [
  [
    "in files",
    async () => {
      const path = await mkdtemp(join(tmpdir(), "signal-hub-upgrades-"))
      onTestFinished(() => rm(path, { recursive: true, force: true }))
      return filePersistence(join(path, "session"))
    },
  ],
  // One that knows nothing of versions.
  ["of a program's own", async () => new MemoryStore()],
]

const entriesOf = ({ entries }: Store) => Object.fromEntries(entries)

describe.each(kinds)("a session that is stored %s", (_, make) => {
  test("fault 76: is upgraded step by step, or by several at once, and once", async () => {
    for (const versions of [
      [2, 3, 3],
      [3, 3],
    ]) {
      const persistence = await make()
      await (await openStore(persistence, code(1))).write(new Map([["taken", 7]]))
      for (const version of versions) await openStore(persistence, code(version))
      expect(entriesOf(await openStore(persistence, code(3)))).toEqual({
        last: 7,
        note: "two",
        schema: { version: 3, readableFrom: 3 },
      })
    }
  })

  test("fault 76: of version 1 has no entry for it", async () => {
    const persistence = await make()
    expect(entriesOf(await openStore(persistence))).toEqual({})
    expect(entriesOf(await openStore(persistence))).toEqual({})
  })

  test("fault 76: is read and written by what is between, which keeps what it does not know", async () => {
    const persistence = await make()
    await (await openStore(persistence, code(2))).write(new Map([["taken", 7]]))
    await (await openStore(persistence, code(1))).write(new Map([["taken", 8]]))
    expect(entriesOf(await openStore(persistence, code(2)))).toEqual({
      taken: 8,
      note: "two",
      schema: { version: 2, readableFrom: 1 },
    })
  })

  test("fault 76: is rejected by older code, and loses nothing by it", async () => {
    const persistence = await make()
    await (await openStore(persistence, code(3))).write(new Map([["last", 7]]))
    for (const version of [1, 2]) {
      const error = await openStore(persistence, code(version)).catch((error: unknown) => error)
      expect(error).toBeInstanceOf(StoreRejected)
      expect(error).toMatchObject({ stored: 3, code: version })
    }
    expect(entriesOf(await openStore(persistence, code(3)))).toMatchObject({ last: 7, note: "two" })
  })

  test("fault 76: stays as it was where a step fails", async () => {
    const persistence = await make()
    await (await openStore(persistence, code(1))).write(new Map([["taken", 7]]))
    const failing: ReadonlyArray<StoreStep> = [
      STEPS[0]!,
      {
        readableFrom: 3,
        upgrade: () => {
          throw new Error("no more")
        },
      },
    ]
    await expect(openStore(persistence, failing)).rejects.toThrow("no more")
    expect(entriesOf(await openStore(persistence, code(1)))).toEqual({ taken: 7 })
  })
})

test("fault 76: older code takes a stored session from nobody", async () => {
  const path = await mkdtemp(join(tmpdir(), "signal-hub-upgrades-"))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  const persistence = filePersistence(join(path, "session"))
  const newer = await openStore(persistence, code(3))
  await newer.write(new Map([["last", 7]]))
  const files = await readdir(path)
  const texts = await Promise.all(files.map((file) => readFile(join(path, file))))
  await expect(openStore(persistence, code(2))).rejects.toThrow(StoreRejected)
  expect(await readdir(path)).toEqual(files)
  expect(await Promise.all(files.map((file) => readFile(join(path, file))))).toEqual(texts)
  // It is still the newer process's.
  await newer.write(new Map([["last", 8]]))
})
