import { expect, it } from "vitest"
import { TAKEN } from "../../src/delivery/Rpc.ts"
import { Watermarks } from "../../src/delivery/Watermarks.ts"
import { HUB } from "../../src/object/Schema.ts"
import { TestTables } from "../support/TestTables.ts"

it("fault 70: lines are remembered up to a number, however busy the object is; their rows are all there", () => {
  const sql = new TestTables(HUB)
  const marks = new Watermarks(sql, () => 1_700_000_000_000)
  const note = (line: string): void => {
    marks.note(line, 1, TAKEN)
    marks.write()
  }
  let reads = 0
  const all = sql.all.bind(sql)
  sql.all = ((query: string, ...values: ReadonlyArray<string>) => {
    if (query.startsWith("SELECT last")) reads++
    return all(query, ...values)
  }) as typeof sql.all
  note("first")
  expect(marks.outcome("first", 1)).toBe(TAKEN)
  // In each turn something comes in.
  for (let n = 0; n < 1_500; n++) note(`line ${n}`)
  const before = reads
  expect(marks.outcome("first", 1)).toBe(TAKEN)
  expect(reads).toBe(before + 1)
  expect(sql.count("watermark")).toBe(1_501)
})
