/** The bindings and variables of a hub's Worker. */
import { Envelope } from "@signal-hub/actor-core"
import { DEFAULT_LIMITS, type Limits } from "../protocol/Limits.ts"
import type { Directory } from "../directory/Directory.ts"
import type { SessionGateway } from "../gateway/SessionGateway.ts"
import type { TopicHub } from "../topics/TopicHub.ts"
import type { SignalHub } from "../hub/SignalHub.ts"

export interface HubEnv {
  readonly SIGNAL_HUB: DurableObjectNamespace<SignalHub>
  /** The objects of the gateway topology. Without the first, `/gateway` is not served. */
  readonly SESSION_GATEWAY?: DurableObjectNamespace<SessionGateway>
  readonly TOPIC_HUB?: DurableObjectNamespace<TopicHub>
  readonly DIRECTORY?: DurableObjectNamespace<Directory>
  /** `token` (the default) or `open`: everybody may do everything, for local development. */
  readonly AUTH_MODE?: string
  /** The secret of HS256 tokens; 32 characters or more, as it can be guessed offline. */
  readonly JWT_SECRET?: string
  /** The public keys of RS256, ES256 or EdDSA tokens: a key set as JSON, or where one is fetched. */
  readonly JWKS?: string | { readonly keys: ReadonlyArray<object> }
  readonly JWKS_URL?: string
  /** What `iss` must be, and `aud` must be or hold. Absent: any. */
  readonly JWT_ISSUER?: string
  readonly JWT_AUDIENCE?: string
  /** The identity of tokens without `actorId`: a template over their claims, such as `@(user/{sub})`. */
  readonly JWT_IDENTITY?: string
  /** Origins whose pages may connect, comma-separated. Absent: any. */
  readonly ALLOWED_ORIGINS?: string
  /** `debug`, `info` (the default), `warn` or `error`. */
  readonly LOG_LEVEL?: string
  /** JSON that overrides `DEFAULT_LIMITS`. */
  readonly LIMITS?: string | Partial<Limits>
}

/**
 * What is made of an environment is made once: the Worker and the objects of an isolate have the same, and need
 * not read it at each wake-up.
 */
export const oncePerEnv = <Env extends HubEnv, A>(make: (env: Env) => A): ((env: Env) => A) => {
  const known = new WeakMap<Env, { readonly made: A }>()
  return (env) => {
    let kept = known.get(env)
    if (kept === undefined) known.set(env, (kept = { made: make(env) }))
    return kept.made
  }
}

/** The limits in force. Throws where `LIMITS` is no JSON object, names none or gives no number. */
export const limitsOf = (env: HubEnv, defaults: Limits = DEFAULT_LIMITS): Limits => {
  if (env.LIMITS === undefined || env.LIMITS === "") return defaults
  const overrides = typeof env.LIMITS === "string" ? parse(env.LIMITS) : env.LIMITS
  if (!Envelope.isPlainObject(overrides)) throw new Error("LIMITS must be a JSON object")
  for (const [name, value] of Object.entries(overrides)) {
    if (!fits(name, value)) {
      throw new Error(
        `LIMITS: "${name}" must be one of ${Object.keys(DEFAULT_LIMITS).join(", ")}, as a number from 0`,
      )
    }
  }
  return { ...defaults, ...(overrides as Partial<Limits>) }
}

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Whether there is a limit of this name and the value is of its form. */
const fits = (name: string, value: unknown): boolean => {
  if (!Object.hasOwn(DEFAULT_LIMITS, name)) return false
  const expected: unknown = DEFAULT_LIMITS[name as keyof Limits]
  return Array.isArray(expected)
    ? Array.isArray(value) && value.length === expected.length && value.every(isLimit)
    : isLimit(value)
}

const isLimit = (value: unknown): value is number => Number.isFinite(value) && (value as number) >= 0
