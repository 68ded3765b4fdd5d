/** The bindings and variables of a hub's Worker. */
import { DEFAULT_LIMITS, type Limits } from "../protocol/Limits.ts"
import type { SignalHub } from "../hub/SignalHub.ts"

export interface HubEnv {
  readonly SIGNAL_HUB: DurableObjectNamespace<SignalHub>
  /** `token` (the default) or `open`: everybody may do everything, for local development. */
  readonly AUTH_MODE?: string
  /** `debug`, `info` (the default), `warn` or `error`. */
  readonly LOG_LEVEL?: string
  /** JSON that overrides `DEFAULT_LIMITS`. */
  readonly LIMITS?: string | Partial<Limits>
}

/** The limits in force. Throws where `LIMITS` names none or gives no number. */
export const limitsOf = (env: HubEnv): Limits => {
  if (env.LIMITS === undefined || env.LIMITS === "") return DEFAULT_LIMITS
  const overrides: unknown = typeof env.LIMITS === "string" ? JSON.parse(env.LIMITS) : env.LIMITS
  for (const [name, value] of Object.entries(overrides as object)) {
    const expected = (DEFAULT_LIMITS as unknown as { readonly [name: string]: unknown })[name]
    const fits = typeof expected === "number" ? isLimit(value) : Array.isArray(value) && value.every(isLimit)
    if (expected === undefined || !fits) {
      throw new Error(
        `LIMITS: "${name}" must be one of ${Object.keys(DEFAULT_LIMITS).join(", ")}, as a number from 0`,
      )
    }
  }
  return { ...DEFAULT_LIMITS, ...(overrides as Partial<Limits>) }
}

const isLimit = (value: unknown): value is number => typeof value === "number" && value >= 0
