/**
 * Stores a session in files, for Node. Each process that opens it begins a file of its own: `<path>.<n>`,
 * with `n` one more than the last. Who finds a later file than its own has lost the store; as files are
 * created exclusively, two never have the same one. Changes are appended, a line each time.
 */
import { appendFile, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises"
import { basename, dirname } from "node:path"
import { deserialize, serialize } from "node:v8"
import { type Persistence, type Prepare, type Store, StoreTaken } from "../client/Persistence.ts"

export interface FileOptions {
  /** Lines after which the file is written anew, with what it holds alone: 10,000 by default. */
  readonly linesAtMost?: number
}

type Entries = ReadonlyMap<string, unknown>

/** A session that is stored in files beside `path`, whose folder must exist. */
export const filePersistence = (path: string, { linesAtMost = 10_000 }: FileOptions = {}): Persistence => ({
  open: (prepare) => openFile(path, linesAtMost, prepare),
})

const openFile = async (
  path: string,
  linesAtMost: number,
  prepare: Prepare = () => new Map(),
): Promise<Store> => {
  // Whoever has it keeps it where this throws: what is there is not this code's to read.
  prepare(await lastBefore(path, Infinity))
  const n = await claim(path)
  const own = `${path}.${n}`
  const held = new Map(await lastBefore(path, n))
  try {
    change(held, prepare(held))
  } catch (error) {
    // It was upgraded meanwhile.
    await rm(own, { force: true })
    throw error
  }
  const entries = new Map(held)
  let lines = 0
  const begin = async (): Promise<void> => {
    // A file that is there but not written yet counts for nothing: it becomes whole at once.
    await writeFile(`${own}.new`, line(held), { flush: true })
    await rename(`${own}.new`, own)
    lines = 1
  }
  await begin()
  const ours = async (): Promise<void> => {
    if ((await numbers(path)).some((other) => other > n)) throw new StoreTaken()
  }
  await ours()
  for (const older of await numbers(path)) if (older < n) await rm(`${path}.${older}`, { force: true })
  return {
    entries,
    write: async (changes) => {
      change(held, changes)
      if (changes.size > 0) {
        if (++lines > linesAtMost) await begin()
        else await appendFile(own, line(changes), { flush: true })
      }
      // After the write: who opened it before has read it all, or is found now.
      await ours()
    },
  }
}

const change = (entries: Map<string, unknown>, changes: Entries): void => {
  for (const [key, value] of changes) {
    if (value === undefined) entries.delete(key)
    else entries.set(key, value)
  }
}

/** Creates the next file, empty; its number. */
const claim = async (path: string): Promise<number> => {
  for (;;) {
    const n = Math.max(0, ...(await numbers(path))) + 1
    try {
      await (await open(`${path}.${n}`, "wx")).close()
      return n
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error
    }
  }
}

/** What the last whole file before this one holds. */
const lastBefore = async (path: string, n: number): Promise<Entries> => {
  const older = (await numbers(path)).filter((other) => other < n).toSorted((a, b) => b - a)
  for (const other of older) {
    const text = await readFile(`${path}.${other}`, "utf8").catch(() => "")
    if (text === "") continue
    const entries = new Map<string, unknown>()
    // Not the last part, which is empty, or was never written to its end.
    for (const each of text.split("\n").slice(0, -1)) {
      change(entries, deserialize(Buffer.from(each, "base64")) as Entries)
    }
    return entries
  }
  return new Map()
}

const line = (entries: Entries): string => `${serialize(entries).toString("base64")}\n`

/** The numbers of the files there are. */
const numbers = async (path: string): Promise<ReadonlyArray<number>> => {
  const prefix = `${basename(path)}.`
  const names = await readdir(dirname(path))
  return names.flatMap((name) =>
    name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length))
      ? [Number(name.slice(prefix.length))]
      : [],
  )
}
