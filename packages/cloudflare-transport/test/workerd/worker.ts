/** The Worker under test: the hub as it is shipped, one whose times are short, and the bridge alone. */
import { SignalHub } from "../../src/hub/SignalHub.ts"
import type { HubEnv } from "../../src/worker/HubEnv.ts"
import { hubWorker } from "../../src/worker/HubWorker.ts"

import { JWT_SECRET } from "./secret.ts"
import { tickets } from "./tickets.ts"

export { AccountActor, BuyerActor, ClockActor } from "./durable/actors.ts"
export { Echo } from "./Echo.ts"
export { Host } from "./Host.ts"
export { SignalHub } from "../../src/hub/SignalHub.ts"

/** Finds the silent within milliseconds, and makes a row of every ask at once. */
export class ImpatientHub extends SignalHub {
  constructor(ctx: DurableObjectState, env: HubEnv) {
    super(ctx, { ...env, LIMITS: { heartbeatInterval: 50, sweepInterval: 20, askVolatileFor: 0 } })
  }
}

/** Wants tokens that are signed with a secret. */
export class TokenHub extends SignalHub {
  constructor(ctx: DurableObjectState, env: HubEnv) {
    super(ctx, { ...env, AUTH_MODE: "token", JWT_SECRET, LOG_LEVEL: "info" })
  }
}

export class TicketHub extends tickets.SignalHub {
  constructor(ctx: DurableObjectState, env: HubEnv) {
    super(ctx, { ...env, AUTH_MODE: "token" })
  }
}

export default hubWorker
