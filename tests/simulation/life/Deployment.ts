/** What is deployed on the simulated platform: the real classes, the real Worker, as a deployment has them. */
import {
  Directory,
  type HubEnv,
  makeGateway,
  makeHub,
  TokenRefused,
  TopicHub,
} from "@signal-hub/cloudflare-transport"
import type { Faults } from "../platform/Faults.ts"
import { Host } from "../platform/Host.ts"
import type { Instance } from "../platform/Incarnation.ts"
import { Network } from "../platform/Network.ts"
import type { ObjectPlace } from "../platform/ObjectPlace.ts"
import { Objects } from "../platform/Objects.ts"
import type { Simulation } from "../platform/Simulation.ts"
import { LIMITS, TIGHT_LIMITS } from "./limits.ts"
import { readToken } from "./tokens.ts"

type ObjectClass = new (state: never, env: never) => unknown

export class Deployment {
  readonly objects: Objects
  readonly network: Network
  readonly worker: Host
  faults: Faults
  readonly #simulation: Simulation
  /** How far the platform's clock is ahead, in milliseconds. */
  clockOffset = 0

  constructor(
    simulation: Simulation,
    options: {
      readonly auth: "open" | "token"
      readonly isTight: boolean
      readonly faults: Faults
      readonly onFailure: (place: ObjectPlace, label: string, error: unknown) => void
    },
  ) {
    this.#simulation = simulation
    this.faults = options.faults
    const verify = (token: string) => {
      const payload = readToken(token)
      if (payload === undefined) throw new TokenRefused({ code: "unauthorized", message: "no token" })
      return payload
    }
    const hub = makeHub<HubEnv>({ verify })
    const gateway = makeGateway({ verify })
    const classes: { readonly [kind: string]: ObjectClass } = {
      hub: hub.SignalHub as unknown as ObjectClass,
      gateway: gateway.SessionGateway as unknown as ObjectClass,
      topic: TopicHub as unknown as ObjectClass,
      directory: Directory as unknown as ObjectClass,
    }
    this.objects = new Objects({
      simulation,
      faults: () => this.faults,
      clockOffset: () => this.clockOffset,
      make: (kind, state) => new classes[kind]!(state as never, env as never) as Instance,
      failed: options.onFailure,
    })
    const env = {
      SIGNAL_HUB: this.objects.namespace("hub"),
      SESSION_GATEWAY: this.objects.namespace("gateway"),
      TOPIC_HUB: this.objects.namespace("topic"),
      DIRECTORY: this.objects.namespace("directory"),
      AUTH_MODE: options.auth,
      LOG_LEVEL: "debug",
      LIMITS: JSON.stringify(options.isTight ? TIGHT_LIMITS : LIMITS),
    }
    this.worker = new Host("worker", simulation.random.fork("worker"))
    const { fetch } = gateway.worker
    this.network = new Network(
      simulation,
      () => this.faults,
      this.worker,
      async (request) => fetch!(request as never, env as never, {} as never),
    )
  }

  /** The platform's clock jumps. */
  jump(milliseconds: number): void {
    this.#simulation.note("the platform's clock jumps", `${milliseconds}`)
    this.clockOffset += milliseconds
    this.worker.clockOffset = this.clockOffset
    for (const place of this.objects.all()) {
      if (place.incarnation !== undefined) place.incarnation.clockOffset = this.clockOffset
      place.alarm.arm()
    }
  }

  /** New code: all objects begin again, all at once. */
  deploy(): void {
    for (const place of this.objects.all()) place.crash("deploy")
  }

  close(): void {
    for (const place of this.objects.all()) place.storage.close()
  }
}
