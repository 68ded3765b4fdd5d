import { expect, it } from "vitest"
import { type Notice, Notices } from "../../src/delivery/Notices.ts"
import { HUB } from "../../src/object/Schema.ts"
import { TestTables } from "../support/TestTables.ts"

it("a notice of the step in which the alarm comes is told once, though the clock has gone on since it began", () => {
  const sql = new TestTables(HUB)
  const announced: Array<() => void> = []
  const told: Array<Notice> = []
  let clock = 1_700_000_000_000
  const notices = new Notices(
    {
      sql,
      now: () => clock++,
      log: () => {},
      announce: (task) => void announced.push(task),
      atLatest: () => {},
      idle: () => {},
    },
    (notice, done) => {
      told.push(notice)
      done(true)
    },
  )
  notices.put({ do: "ended", address: "@(user/ada)", reason: "expired" })
  notices.retry()
  for (const task of announced) task()
  expect(told).toHaveLength(1)
  expect(sql.count("notice")).toBe(0)
})
