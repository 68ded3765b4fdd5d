/** A session in files: whole or not at all, and one process at a time. */
import { appendFile, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, onTestFinished, test } from "vitest"
import { StoreTaken } from "../../src/client/Persistence.ts"
import { filePersistence } from "../../src/persistence/File.ts"

const folder = async (): Promise<string> => {
  const path = await mkdtemp(join(tmpdir(), "signal-hub-store-"))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  return path
}

test("what was written is there at the next opening: dates and bytes, changes and deletions", async () => {
  const persistence = filePersistence(join(await folder(), "session"))
  const first = await persistence.open()
  expect(first.entries).toEqual(new Map())
  const value = { bytes: new Uint8Array([1, 2]), at: new Date(5), text: "é\n" }
  await first.write(
    new Map<string, unknown>([
      ["a", value],
      ["b", 1],
      ["c", 2],
    ]),
  )
  await first.write(
    new Map<string, unknown>([
      ["b", undefined],
      ["c", 3],
    ]),
  )
  const { entries } = await persistence.open()
  expect(entries).toEqual(
    new Map<string, unknown>([
      ["a", value],
      ["c", 3],
    ]),
  )
})

test("fault 12: who opened it before can write nothing more, not even nothing", async () => {
  const path = await folder()
  const persistence = filePersistence(join(path, "session"))
  const first = await persistence.open()
  await first.write(new Map([["a", 1]]))
  const second = await persistence.open()
  await expect(first.write(new Map([["a", 2]]))).rejects.toThrow(StoreTaken)
  await expect(first.write(new Map())).rejects.toThrow(StoreTaken)
  await second.write(new Map([["b", 1]]))
  const third = await persistence.open()
  expect(Object.fromEntries(third.entries)).toEqual({ a: 1, b: 1 })
  expect(await readdir(path)).toHaveLength(1)
})

test("of many that open it at once one has it, with all that was there", async () => {
  const persistence = filePersistence(join(await folder(), "session"))
  await (await persistence.open()).write(new Map([["a", 1]]))
  const opened = await Promise.allSettled(Array.from({ length: 8 }, () => persistence.open()))
  const stores = opened.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []))
  for (const each of opened) if (each.status === "rejected") expect(each.reason).toBeInstanceOf(StoreTaken)
  const written = await Promise.allSettled(stores.map((store, n) => store.write(new Map([["by", n]]))))
  expect(written.filter(({ status }) => status === "fulfilled")).toHaveLength(1)
  expect((await persistence.open()).entries.get("a")).toBe(1)
})

test("a line that was never written to its end, and a file that was never begun, count for nothing", async () => {
  const path = await folder()
  const persistence = filePersistence(join(path, "session"))
  await (await persistence.open()).write(new Map([["a", 1]]))
  const [name] = await readdir(path)
  await appendFile(join(path, name!), "AAAA")
  // Another process was killed as it opened it.
  await writeFile(join(path, "session.7"), "")
  expect((await persistence.open()).entries).toEqual(new Map([["a", 1]]))
})

test("a file does not grow without end", async () => {
  const path = await folder()
  const persistence = filePersistence(join(path, "session"), { linesAtMost: 10 })
  const store = await persistence.open()
  for (let n = 0; n < 100; n++) await store.write(new Map([["a", n]]))
  const [name] = await readdir(path)
  const { size } = await stat(join(path, name!))
  expect(size).toBeLessThan(11 * 40)
  expect((await persistence.open()).entries).toEqual(new Map([["a", 99]]))
})
