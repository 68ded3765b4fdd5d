/** The Worker under test: the hub as it is shipped, one impatient, one strict, and the bridge alone. */
import { SignalHub as PlainHub } from "../../src/hub/SignalHub.ts"
import type { HubEnv } from "../../src/worker/HubEnv.ts"
import { gateway } from "./deployment.ts"
import { JWT_SECRET } from "./secret.ts"
import { tickets } from "./tickets.ts"

export { StewardActor } from "./Steward.ts"
export { AccountActor, BuyerActor, ClockActor } from "./durable/actors.ts"
export { Echo } from "./Echo.ts"
export { Host } from "./Host.ts"

/** Finds the silent within milliseconds, and makes a row of every ask at once. */
export class ImpatientHub extends PlainHub {
  constructor(ctx: DurableObjectState, env: HubEnv) {
    super(ctx, { ...env, LIMITS: { heartbeatInterval: 50, sweepInterval: 20, askVolatileFor: 0 } })
  }
}

/** Wants tokens that are signed with a secret. */
export class TokenHub extends PlainHub {
  constructor(ctx: DurableObjectState, env: HubEnv) {
    super(ctx, { ...env, AUTH_MODE: "token", JWT_SECRET, LOG_LEVEL: "info" })
  }
}

export class TicketHub extends tickets.SignalHub {
  constructor(ctx: DurableObjectState, env: HubEnv) {
    super(ctx, { ...env, AUTH_MODE: "token" })
  }
}

/** Gives each connection a few envelopes and no more in a test's time, and small buffers. */
export class StrictHub extends PlainHub {
  constructor(ctx: DurableObjectState, env: HubEnv) {
    const rate = { maxEnvelopesPerSecond: 0.001, envelopeBurst: 20, maxRefusals: 5 }
    const flow = { pauseThreshold: 8_000, resumeThreshold: 2_000, maxUnacknowledged: 40_000 }
    super(ctx, { ...env, LIMITS: { ...rate, ...flow, maxMessageSize: 100_000 } })
  }
}

export const { SessionGateway, SignalHub, actors } = gateway
export { Directory } from "../../src/gateway/Directory.ts"
export { TopicHub } from "../../src/gateway/TopicHub.ts"
export { Desk, Room } from "./Backends.ts"

export default gateway.worker
