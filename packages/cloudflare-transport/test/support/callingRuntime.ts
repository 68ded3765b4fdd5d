/** The runtime of an object that calls others, as far as calls need it: no core, and no storage. */
import type { ObjectPort } from "../../src/object/ObjectPort.ts"
import type { ObjectRuntime } from "../../src/object/ObjectRuntime.ts"
import { schemaOf } from "../../src/object/Tables.ts"
import { DEFAULT_LIMITS } from "../../src/protocol/Limits.ts"
import { TestTables } from "./TestTables.ts"

export const callingRuntime = (
  port: Partial<ObjectPort>,
): Pick<ObjectRuntime<unknown>, "port" | "run" | "unlessFailed"> => ({
  port: {
    name: "caller",
    limits: DEFAULT_LIMITS,
    sql: new TestTables(schemaOf()),
    now: () => 0,
    log: () => {},
    logsDebug: false,
    armedAt: (done) => done(null),
    setAlarm: () => {},
    later: (milliseconds, task) => {
      const timer = setTimeout(task, milliseconds)
      return () => clearTimeout(timer)
    },
    defer: (task) => task(),
    forget: () => {},
    ...port,
  },
  run: (task) => task(),
  unlessFailed: (task) => task,
})
