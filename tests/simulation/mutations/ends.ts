/** Faults at the ends of sessions, addresses, watches and asks: what stays, and who is not told. */
import { hub, type Mutant } from "./Mutant.ts"

export const ENDS: ReadonlyArray<Mutant> = [
  {
    breaks: "a session's end leaves its outbox",
    file: hub("session/Lifecycle"),
    edits: [["    hub.outboxes.end(session, now)\n", ""]],
  },
  {
    breaks: "a session's end leaves its subscriptions",
    file: hub("session/Lifecycle"),
    edits: [
      [
        "const subscriptions = hub.topics.release(session, now)",
        "const subscriptions: ReturnType<typeof hub.topics.release> = []",
      ],
    ],
  },
  {
    breaks: "a session's end leaves its watches",
    file: hub("session/Lifecycle"),
    edits: [["    hub.watches.release(address)\n", ""]],
  },
  {
    breaks: "a session's end leaves its registrations",
    file: hub("session/Lifecycle"),
    edits: [['      endAddress(hub, registration, expired ? "expired" : "disconnected", now)\n', ""]],
  },
  {
    breaks: "a session's end leaves the asks that it had open",
    file: hub("session/Lifecycle"),
    edits: [["      endAsks(hub, session, now)\n", ""]],
  },
  {
    breaks: "watchers are not told",
    file: hub("session/Lifecycle"),
    edits: [["    hub.terminated(address, reason, now)\n", ""]],
  },
  {
    breaks: "watchers are told again at each end",
    file: hub("features/Watches"),
    edits: [['if (watchers.length > 0) this.#sql.run("DELETE FROM watch WHERE target = ?", target)', ""]],
  },
  {
    breaks: "no grace period ever ends",
    file: hub("HubCore"),
    edits: [["for (const session of state.sessions.graceOver(now)) endSession(state, session, now)", ""]],
  },
  {
    breaks: "no ask is ever overdue",
    file: hub("HubCore"),
    edits: [["    endOverdue(state, state.asks.overdue(now), now)\n", ""]],
  },
  {
    breaks: "a socket that a crash took is not looked for",
    file: hub("HubCore"),
    edits: [['loseConnection(state, session, now, "socket_gone", now)\n      }', "void session\n      }"]],
  },
  {
    breaks: "after an alarm none is armed",
    file: hub("Alarm"),
    edits: [["    this.#port.setAlarm(this.#armedAt)\n  }\n}", "  }\n}"]],
  },
]
